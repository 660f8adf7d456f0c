//! The sources, asked: who has a secret, who comes first, and what is refused. Values never show.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::*;
use crate::model::decode::Decode;
use crate::model::fault::Severity;
use crate::model::node::{Entry, Node, Place, Value};
use crate::model::secret::Secret;
use crate::secrets::SecretFile;

/// Surroundings made of two maps.
#[derive(Default)]
struct Room {
    variables: BTreeMap<String, OsString>,
    /// Text, and whether everybody may read it.
    files: BTreeMap<String, (String, bool)>,
    /// Files that may not be read.
    locked: Vec<String>,
    asked: Vec<String>,
}

impl Door for Room {
    fn variable(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(name).map(OsString::as_os_str)
    }

    fn variables(&self) -> Vec<String> {
        self.variables.keys().cloned().collect()
    }

    fn file(&mut self, path: &Path, bytes_max: u64) -> Result<Option<SecretFile>, String> {
        let path = path.to_str().unwrap().to_owned();
        self.asked.push(path.clone());
        if self.locked.contains(&path) {
            return Err("may not be read by this user".to_owned());
        }
        Ok(self.files.get(&path).map(|(text, read_by_all)| SecretFile {
            bytes: Secret::new(text.bytes().take(bytes_max as usize).collect()),
            read_by_all: *read_by_all,
        }))
    }

    fn entries(&self, folder: &Path) -> Vec<String> {
        let inside = |path: &String| {
            let path = Path::new(path);
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (path.parent() == Some(folder)).then_some(name)
        };
        self.files.keys().filter_map(inside).collect()
    }
}

impl Room {
    fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    fn file(mut self, path: &str, text: &str) -> Self {
        self.files.insert(path.to_owned(), (text.to_owned(), false));
        self
    }
}

fn scalar(text: &str) -> Node {
    Node {
        value: Value::Scalar {
            text: text.to_owned(),
            quoted: true,
        },
        place: Place::Default,
    }
}

fn map(key: &str, value: Node) -> Node {
    let entry = Entry {
        key: key.to_owned(),
        key_place: Place::Default,
        value,
    };
    Node {
        value: Value::Map(vec![entry]),
        place: Place::Default,
    }
}

/// `env`, `env:PREFIX`, `dotenv:FILE` or `files:FOLDER`.
fn source(text: &str) -> Node {
    let empty = Node {
        value: Value::Map(Vec::new()),
        place: Place::Default,
    };
    match text.split_once(':') {
        Some(("env", prefix)) => map("env", map("prefix", scalar(prefix))),
        Some((key, value)) => map(key, scalar(value)),
        None => map(text, empty),
    }
}

fn decoded(sources: &[&str], faults: &mut Faults) -> Option<Sources> {
    let list = Node {
        value: Value::List(sources.iter().map(|text| source(text)).collect()),
        place: Place::Default,
    };
    Sources::decode(&list, faults)
}

/// The value and origin, and everything that was told.
fn ask(sources: &[&str], name: &str, room: &mut Room) -> (Option<(String, String)>, String) {
    let mut faults = Faults::default();
    let sources = decoded(sources, &mut faults).unwrap();
    let mut resolver = Resolver::open(sources, room, &mut faults);
    let reference = SecretRef {
        name: SecretName::parse(name).unwrap(),
        place: Place::Default,
    };
    resolver.resolve(&reference, room, &mut faults);
    let Gathered(found) = resolver.gathered();
    let found = found.get(name).map(|found| {
        let value = found.value.expose_secret_text().unwrap().to_owned();
        (value, format!("{} {}", found.source, found.origin))
    });
    let told = faults.into_sorted().into_iter().map(|fault| {
        let kind = match fault.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        format!(
            "{kind}: {} [{}]\n",
            fault.message,
            fault.help.unwrap_or_default()
        )
    });
    (found, told.collect())
}

#[test]
fn the_first_source_that_has_it_is_taken() {
    let room = || {
        Room::default()
            .variable("KEY", "of the environment")
            .variable("T_KEY", "with a prefix")
            .variable("OTHER_FILE", "/there")
            .file("/there", "through a path\n")
            .file("/run/KEY", "of a folder\r\n")
            .file(".env", "KEY='of a file'\nONLY=x\n")
    };
    type Row = (
        &'static [&'static str],
        &'static str,
        &'static str,
        &'static str,
    );
    let table: [Row; 9] = [
        (&["env"], "KEY", "of the environment", "env $KEY"),
        (&["env:T_"], "KEY", "with a prefix", "env $T_KEY"),
        (&["env"], "OTHER", "through a path", "env /there"),
        (&["files:/run"], "KEY", "of a folder", "files /run/KEY"),
        (&["dotenv:.env"], "KEY", "of a file", "dotenv .env"),
        (&["dotenv:.env", "env"], "KEY", "of a file", "dotenv .env"),
        (
            &["env", "dotenv:.env"],
            "KEY",
            "of the environment",
            "env $KEY",
        ),
        (
            &["env", "files:/run", "dotenv:.env"],
            "ONLY",
            "x",
            "dotenv .env",
        ),
        (
            &["dotenv:gone", "files:/run"],
            "KEY",
            "of a folder",
            "files /run/KEY",
        ),
    ];
    for (sources, name, value, origin) in table {
        let (read, told) = ask(sources, name, &mut room());
        assert_eq!(
            read,
            Some((value.to_owned(), origin.to_owned())),
            "{sources:?}"
        );
        assert_eq!(told, "", "{sources:?}");
    }
}

#[test]
fn without_a_word_the_environment_is_asked() {
    let mut room = Room::default().variable("KEY", "x");
    let mut faults = Faults::default();
    let mut resolver = Resolver::open(Sources::default(), &mut room, &mut faults);
    let name = SecretName::parse("KEY").unwrap();
    let reference = SecretRef {
        name: name.clone(),
        place: Place::Default,
    };
    resolver.resolve(&reference, &mut room, &mut faults);
    assert_eq!(resolver.found(&name).unwrap().expose_secret(), b"x");
    assert!(!faults.any_error());
}

#[test]
fn what_is_wrong_is_told_and_nothing_else_is_taken() {
    let long = "x".repeat(70_000);
    let room = || {
        let mut room = Room::default()
            .variable("EMPTY", "")
            .variable("BOTH", "hunter2")
            .variable("BOTH_FILE", "/there")
            .variable("GONE_FILE", "/gone")
            .variable("OUTRIDER_KEY", "hunter2")
            .file("/there", "hunter2")
            .file("/run/EMPTY2", "\n")
            .file("/run/BLANK", " \t\n\n")
            .file("/run/LONG", &long)
            .file("/run/LOCKED", "hunter2")
            .file("/next/LOCKED", "hunter2")
            .file("/next/EMPTY", "hunter2")
            .file("/next/API_KEY", "hunter2")
            .file(".env", "hunter2\nA=hunter2\nB=hun'ter2\n");
        room.locked.push("/run/LOCKED".to_owned());
        room
    };
    let table: [(&[&str], &str, &str); 12] = [
        (
            &["env", "files:/next"],
            "EMPTY",
            "error: the secret `EMPTY` is empty ($EMPTY)",
        ),
        (&["files:/run"], "EMPTY2", "is empty (/run/EMPTY2)"),
        (&["files:/run"], "BLANK", "is empty (/run/BLANK)"),
        (&["files:/run"], "LONG", "is larger than 64KiB (/run/LONG)"),
        (
            &["files:/run", "files:/next"],
            "LOCKED",
            "`LOCKED` cannot be read: the file `/run/LOCKED` may not be read by this user",
        ),
        (&["env"], "BOTH", "both `$BOTH` and `$BOTH_FILE` are set"),
        (
            &["env"],
            "GONE",
            "the file that `$GONE_FILE` names does not exist",
        ),
        (&["env"], "OUTRIDER_KEY", "must not begin with OUTRIDER_"),
        (
            &["dotenv:.env"],
            "A",
            "error: `.env`, line 1: there is no `=`",
        ),
        (
            &["dotenv:.env"],
            "A",
            "error: `.env`, line 3: programs differ",
        ),
        (
            &["dotenv:gone", "env:T_", "files:/next"],
            "API_KYE",
            "error: no source has the secret `API_KYE` [asked: `gone` (does not exist), then the environment \
             ($T_API_KYE, or a file named by $T_API_KYE_FILE), then the file `/next/API_KYE`; did you mean `API_KEY`?]",
        ),
        (&["env"], "BOT", "did you mean `BOTH`?"),
    ];
    for (sources, name, expected) in table {
        let (read, told) = ask(sources, name, &mut room());
        assert_eq!(read, None, "{name}");
        assert!(told.contains(expected), "{name}: {told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn a_file_that_everybody_may_read_is_a_warning_once() {
    let mut room = Room::default().file(".env", "A=x\nB=y\n");
    room.files.get_mut(".env").unwrap().1 = true;
    let mut faults = Faults::default();
    let sources = decoded(&["dotenv:.env"], &mut faults).unwrap();
    let mut resolver = Resolver::open(sources, &mut room, &mut faults);
    for name in ["A", "B", "A"] {
        let reference = SecretRef {
            name: SecretName::parse(name).unwrap(),
            place: Place::Default,
        };
        resolver.resolve(&reference, &mut room, &mut faults);
    }
    assert!(!faults.any_error());
    let told = faults.into_sorted();
    assert_eq!(told.len(), 1);
    assert_eq!(
        told[0].message,
        "every user of this machine may read `.env`"
    );
}

#[test]
fn each_file_is_read_once() {
    let mut room = Room::default().file("/run/A", "x").file(".env", "B=x");
    let mut faults = Faults::default();
    let sources = decoded(&["dotenv:.env", "files:/run"], &mut faults).unwrap();
    let mut resolver = Resolver::open(sources, &mut room, &mut faults);
    for name in ["A", "B", "A", "B"] {
        let reference = SecretRef {
            name: SecretName::parse(name).unwrap(),
            place: Place::Default,
        };
        resolver.resolve(&reference, &mut room, &mut faults);
    }
    assert_eq!(room.asked, [".env", "/run/A"]);
}

#[test]
fn sources_are_named_one_by_one() {
    let table: [(&[&str], &str); 6] = [
        (&[], "without a source there is no secret"),
        (&["env"; 17], "too many sources"),
        (&["vault:x"], "unknown key `vault`"),
        (&["dotnev:.env"], "did you mean `dotenv`?"),
        (&["env:OUTRIDER_X"], "are settings, not secrets"),
        (&["env:a b"], "cannot begin the names of variables"),
    ];
    for (sources, expected) in table {
        let mut faults = Faults::default();
        assert!(decoded(sources, &mut faults).is_none(), "{sources:?}");
        let told = format!("{faults:?}");
        assert!(told.contains(expected), "{told}");
    }
}
