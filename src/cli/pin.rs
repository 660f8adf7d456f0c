//! `outrider pin`: the keys of an exchange's chain, or of files, as they are pinned, and which to choose. Connects, but
//! never sends a byte of HTTP and never recommends a key of a chain that is not verified.

use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use rustls::pki_types::{ServerName, TrustAnchor};

use super::exit::{self, Failure};
use crate::forward::exchange::{Probed, probe, public_roots, roots_of_pem};
use crate::model::clock::{Clock, SystemClock};

mod advice;
mod files;
mod key;

/// Bytes of a file: a bundle of every public root has 256 KiB.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// How long a name, a connection and a handshake may take together.
const WAIT: Duration = Duration::from_secs(15);

/// The port of HTTPS.
const PORT: u16 = 443;

/// What `pin` is asked.
#[derive(Args, Debug)]
pub struct PinArgs {
    /// Hosts to connect to, or files with certificates or public keys (PEM or DER). What names a file is a file; write
    /// `host:443` for a host of the same name
    #[arg(required = true, value_name = "HOST[:PORT] | FILE")]
    pub targets: Vec<String>,
    /// Trust the authorities of this file (PEM) instead of the public ones
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// The name to ask for and to verify, if it is not the host's
    #[arg(long, value_name = "NAME")]
    pub server_name: Option<String>,
}

/// What a run came to: what is printed, and how it ends. The worst code of all targets counts.
struct Told {
    text: String,
    code: u8,
}

/// Prints what is known of each target: 0 if all of it could be read and verified.
pub fn run(args: &PinArgs, out: &mut dyn Write) -> u8 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let told = match runtime {
        Ok(runtime) => runtime.block_on(tell(args)),
        Err(error) => Err(Failure::new(exit::FAILURE, error.to_string())),
    };
    match told {
        Ok(told) => super::answer(out, told.text, told.code),
        Err(failure) => failure.tell(),
    }
}

async fn tell(args: &PinArgs) -> Result<Told, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let roots = trusted(args.ca_file.as_deref())?;
    let mut all = Told {
        text: String::new(),
        code: exit::OK,
    };
    for target in &args.targets {
        let path = Path::new(target);
        let told = if path.is_file() {
            of_file(path, clock.now().unix_seconds())
        } else {
            let host = Host::parse(target, args.server_name.as_deref())?;
            host.look(args, roots.clone(), &clock).await
        };
        if !all.text.is_empty() {
            all.text.push('\n');
        }
        all.text.push_str(&told.text);
        all.code = all.code.max(told.code);
    }
    Ok(all)
}

fn trusted(ca_file: Option<&Path>) -> Result<Vec<TrustAnchor<'static>>, Failure> {
    let Some(path) = ca_file else {
        return Ok(public_roots());
    };
    let pem = read(path).map_err(|error| unreadable(path, &error))?;
    let refused = |why| Failure::new(exit::FAILURE, format!("{} {why}", path.display()));
    roots_of_pem(&pem).map_err(refused)
}

fn of_file(path: &Path, now: i64) -> Told {
    let found = read(path).map_err(|error| unreadable(path, &error));
    let keys = found.and_then(|bytes| {
        let refused = |why| Failure::new(exit::FAILURE, format!("{} {why}", path.display()));
        files::keys(&bytes).map_err(refused)
    });
    match keys {
        Ok(keys) => Told {
            text: advice::of_file(path, &keys, now),
            code: exit::OK,
        },
        Err(failure) => Told {
            text: format!("{}\n", failure.message),
            code: failure.code,
        },
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    use io::Read as _;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other("it is larger than 1MiB"));
    }
    Ok(bytes)
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let message = format!("{} cannot be read: {error}", path.display());
    Failure::new(exit::IO, message)
}

/// A server to look at.
struct Host {
    host: String,
    port: u16,
    name: ServerName<'static>,
}

impl Host {
    fn parse(target: &str, name: Option<&str>) -> Result<Self, Failure> {
        let refused = || {
            let message = format!("`{target}` is no file and no host (like api.example.com:443)");
            Failure::new(exit::USAGE, message)
        };
        let (host, port) = split(target).ok_or_else(refused)?;
        let asked = name.unwrap_or(&host).to_owned();
        let name = ServerName::try_from(asked).map_err(|_| refused())?;
        Ok(Self { host, port, name })
    }

    async fn look(
        &self,
        args: &PinArgs,
        roots: Vec<TrustAnchor<'static>>,
        clock: &Arc<dyn Clock>,
    ) -> Told {
        let at = (self.host.as_str(), self.port);
        let Probed { sent, judged } = probe(at, &self.name, roots, WAIT, clock).await;
        let shown = advice::Looked {
            title: format!("{}:{}", self.host, self.port),
            name: self.name.to_str().into_owned(),
            ca_file: args.ca_file.as_deref(),
            now: clock.now().unix_seconds(),
        };
        match judged {
            Ok((paths, version)) => Told {
                text: shown.verified(&paths, version),
                code: exit::OK,
            },
            Err(fault) => Told {
                text: shown.unverified(&sent, &fault),
                code: exit::FAILURE,
            },
        }
    }
}

/// `host`, `host:port`, `[address]:port` or an address.
fn split(target: &str) -> Option<(String, u16)> {
    if let Ok(address) = target.parse::<IpAddr>() {
        return Some((address.to_string(), PORT));
    }
    let (host, port) = match target.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port > 0)?),
        None => (target, PORT),
    };
    let inner = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let plain = match inner {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().ok()?.to_string(),
        None if host.contains([':', '/', '@', '[', ']']) || host.is_empty() => return None,
        None => host.to_ascii_lowercase(),
    };
    Some((plain, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_may_have_a_port() {
        for (target, expected) in [
            ("api.example", Some(("api.example", 443))),
            ("API.example:9443", Some(("api.example", 9443))),
            ("192.0.2.7", Some(("192.0.2.7", 443))),
            ("192.0.2.7:8443", Some(("192.0.2.7", 8443))),
            ("::1", Some(("::1", 443))),
            ("[::1]:8443", Some(("::1", 8443))),
            ("[::1]", None),
            ("api.example:0", None),
            ("api.example:99999", None),
            ("api.example:", None),
            (":443", None),
            ("https://api.example", None),
            ("https://api.example:443", None),
            ("user@api.example:443", None),
            ("", None),
        ] {
            let read = split(target);
            let read = read.as_ref().map(|(host, port)| (host.as_str(), *port));
            assert_eq!(read, expected, "{target}");
        }
    }
}
