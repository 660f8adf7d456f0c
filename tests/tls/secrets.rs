//! A private key that is kept as a secret, on the real program: mounted, rotated under its name, missing for a while. What
//! it is shows nowhere but in handshakes.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use serde_json::{Value, json};

use crate::authority::{Authority, Made};
use crate::client::Client;
use crate::rotation::{reloads, wait_until};
use crate::sidecar::{Sidecar, check, outrider};

const HOST: &str = "orders.jts.local";

const MOUNTED: &str = "  tls: { certificate: mounted/tls.crt, key: \"secret:tls.key\" }
  routes: [{ name: all, match: { path: '/**' }, anonymous: true }]
secrets: [{ dotenv: .env }, { env: {} }, { files: mounted }]";

/// Replaces the files as Kubernetes does; without a key if there is none.
fn mount(folder: &Path, version: &str, certificate: &str, key: Option<&str>) {
    let (mounted, own) = (folder.join("mounted"), folder.join("mounted").join(version));
    fs::create_dir_all(&own).unwrap();
    fs::write(own.join("tls.crt"), certificate).unwrap();
    if let Some(key) = key {
        fs::write(own.join("tls.key"), format!("{key}\n")).unwrap();
        fs::set_permissions(own.join("tls.key"), Permissions::from_mode(0o600)).unwrap();
    }
    symlink(version, mounted.join("..data_tmp")).unwrap();
    fs::rename(mounted.join("..data_tmp"), mounted.join("..data")).unwrap();
    for name in ["tls.crt", "tls.key"] {
        // There from the second time on.
        symlink(Path::new("..data").join(name), mounted.join(name)).ok();
    }
}

fn start(pair: &Made) -> Sidecar {
    let folder = tempfile::tempdir().unwrap();
    mount(folder.path(), "..v1", &pair.certificate, Some(&pair.key));
    Sidecar::start(folder, MOUNTED)
}

/// The lines of a private key that stand nowhere else, and the same without line ends, as a careless program writes it.
fn traces(pair: &Made) -> Vec<String> {
    let lines = pair.key.lines().filter(|line| !line.starts_with('-'));
    let lines: Vec<String> = lines.map(str::to_owned).collect();
    let escaped = pair.key.replace('\n', "\\n");
    [lines, vec![escaped]].concat()
}

/// Everything in a folder but the secrets themselves.
fn written(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("mounted") {
            continue;
        }
        if path.is_dir() {
            all.extend(written(&path));
        } else {
            all.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    all
}

fn hunt(outputs: &[(String, Vec<u8>)], pairs: &[&Made]) {
    for trace in pairs.iter().flat_map(|pair| traces(pair)) {
        for (place, bytes) in outputs {
            let found = bytes
                .windows(trace.len())
                .any(|part| part == trace.as_bytes());
            assert!(!found, "a part of a private key is in {place}");
        }
    }
}

fn of_type(events: &[Value], kind: &str) -> Vec<Value> {
    let own = events
        .iter()
        .filter(|event| event["action"]["type"] == kind);
    own.cloned().collect()
}

#[test]
fn a_key_is_rotated_and_shows_nowhere() {
    let authority = Authority::new("ca");
    let [first, next, last] = [(); 3].map(|()| authority.server(&[HOST]));
    let sidecar = start(&first);
    let client = || Client::new(&authority, HOST, None);
    let shown = || client().send(sidecar.inbound, "/", &[]).unwrap().shown;
    assert_eq!(shown(), first.der());

    mount(sidecar.folder(), "..v2", &next.certificate, Some(&next.key));
    wait_until("the new key", || shown() == next.der());
    // Counted once it is in force.
    wait_until("the count", || reloads(&sidecar, "success") > 0);
    assert_eq!(
        (reloads(&sidecar, "success"), reloads(&sidecar, "rejected")),
        (1, 0)
    );

    // Without its key the certificate is not taken, and nothing else is either.
    mount(sidecar.folder(), "..v3", &last.certificate, None);
    wait_until("the refusal", || reloads(&sidecar, "rejected") == 1);
    assert_eq!(shown(), next.der());
    let missing = "no source has the secret `tls.key`";
    sidecar.wait_for_log(missing);

    mount(sidecar.folder(), "..v4", &last.certificate, Some(&last.key));
    wait_until("the last key", || shown() == last.der());
    wait_until("the last count", || reloads(&sidecar, "success") == 2);
    let metrics = sidecar.metrics();
    assert!(
        metrics.contains("outrider_secret_changes_total 2\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("outrider_secret_timestamp_seconds{secret=\"tls.key\"} 1"),
        "{metrics}"
    );

    let mut outputs = written(sidecar.folder());
    outputs.push(("/metrics".to_owned(), metrics.into_bytes()));
    for words in [
        &["check", "sidecar.yaml"] as &[&str],
        &["check", "--effective", "sidecar.yaml"],
        &["check", "--format", "json", "sidecar.yaml"],
        &["explain", "--config", "sidecar.yaml", "--path", "/"],
        &["schema"],
        &[
            "audit", "tail", "--format", "json", "--lines", "1000", "spool",
        ],
    ] {
        let ran = outrider(words, sidecar.folder());
        assert!(ran.status.success(), "{words:?}: {ran:?}");
        outputs.push((words.join(" "), [ran.stdout, ran.stderr].concat()));
    }
    hunt(&outputs, &[&first, &next, &last]);

    let events = sidecar.events();
    let told = |version: u64| json!({"name": "tls.key", "source": "files", "version": version});
    let secrets = |kind: &str| -> Vec<Value> {
        let found = of_type(&events, kind);
        found.iter().map(|event| event["secret"].clone()).collect()
    };
    assert_eq!(secrets("secret.read"), [told(1)]);
    assert_eq!(secrets("secret.changed"), [told(2), told(3)]);
    let loads = of_type(&events, "config.load");
    let changes = loads[1]["config"]["changes"].as_array().unwrap();
    assert!(changes.contains(&json!("secret tls.key")), "{changes:?}");
    let refused = of_type(&events, "config.reject");
    assert_eq!(refused[0]["reason"]["detail"], missing);
}

#[test]
fn a_key_alone_may_change_and_is_told_without_a_digest_of_it() {
    let authority = Authority::new("ca");
    let pair = authority.server(&[HOST]);
    let sidecar = start(&pair);
    let spaced = format!("\n{}", pair.key);
    mount(sidecar.folder(), "..v2", &pair.certificate, Some(&spaced));
    wait_until("the reload", || reloads(&sidecar, "success") == 1);
    let events = sidecar.events();
    let loads = of_type(&events, "config.load");
    assert_eq!(loads.len(), 2);
    assert_eq!(loads[0]["config"]["digest"], loads[1]["config"]["digest"]);
    assert_eq!(of_type(&events, "secret.changed").len(), 1);
}

#[test]
fn what_everybody_may_read_is_a_warning_and_policy_questions_need_no_secret() {
    let authority = Authority::new("ca");
    let pair = authority.server(&[HOST]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::create_dir(path.join("mounted")).unwrap();
    fs::write(path.join("mounted/tls.crt"), &pair.certificate).unwrap();
    let told = |folder: &Path| {
        let ran = check(folder, MOUNTED);
        (ran.status.code(), String::from_utf8(ran.stdout).unwrap())
    };
    assert_eq!(told(path).0, Some(78));
    let asked = outrider(
        &["explain", "--config", "sidecar.yaml", "--path", "/"],
        path,
    );
    assert!(asked.status.success(), "{asked:?}");

    let dotenv = path.join(".env");
    fs::write(&dotenv, format!("tls.key='{}'\n", pair.key)).unwrap();
    fs::set_permissions(&dotenv, Permissions::from_mode(0o644)).unwrap();
    let (code, text) = told(path);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("every user of this machine may read `.env`"),
        "{text}"
    );
    fs::set_permissions(&dotenv, Permissions::from_mode(0o600)).unwrap();
    let (code, text) = told(path);
    assert_eq!(code, Some(0), "{text}");
    assert!(!text.contains("may read"), "{text}");
    let outputs = [("check".to_owned(), text.into_bytes())];
    hunt(&outputs, &[&pair]);
}
