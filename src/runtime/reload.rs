//! Watches files: says when what stands in them is no longer what was read. Knows nothing of what it means, and never
//! looks again without a pause.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::time::sleep;
use zeroize::Zeroizing;

use crate::model::settings::FileRead;

#[cfg(test)]
mod tests;

/// How long after an event it is looked, and how long files must stay as they are before they count as written.
const SETTLE: Duration = Duration::from_millis(250);

/// How often it is waited for files that go on changing; then they are taken as they are.
const SETTLE_ROUNDS_MAX: u32 = 20;

/// How often it is looked without an event: network and bind mounts may tell of none.
const POLL_EVERY: Duration = Duration::from_secs(30);

/// Bytes of a file that are looked at together.
const PIECE_BYTES: usize = 4096;

/// Files under watch. The folders they are in are watched, never the files: a Kubernetes volume replaces a symbolic link
/// beside them, and an editor the file.
pub struct Watch {
    files: BTreeMap<PathBuf, Content>,
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
    told: Arc<Told>,
    /// Whether an event was heard of and not followed up yet.
    due: bool,
}

/// What is known of a file's content.
#[derive(Clone, PartialEq, Eq)]
struct Content {
    bytes_max: u64,
    digest: Option<[u8; 32]>,
}

/// What the system told.
#[derive(Default)]
struct Told {
    event: Notify,
    /// Whether entries came or went, so that other folders may have to be watched.
    moved: AtomicBool,
}

impl Watch {
    /// Watches files whose content is known. Without events from the system it still looks every half minute.
    #[must_use]
    pub fn new(files: &[FileRead]) -> Self {
        let told = Arc::new(Told::default());
        let listener = Arc::clone(&told);
        let watcher = notify::recommended_watcher(move |event| listener.take(event));
        let watcher = watcher
            .inspect_err(|error| tracing::warn!("files are only looked at now and then: {error}"));
        let mut watch = Self {
            files: BTreeMap::new(),
            watcher: watcher.ok(),
            folders: BTreeSet::new(),
            told,
            due: false,
        };
        watch.follow(files);
        watch
    }

    /// Watches these files from now on and no others.
    pub fn follow(&mut self, files: &[FileRead]) {
        self.files.clear();
        self.also(files);
    }

    /// Watches these files too. One that was watched before is known by what is given now.
    pub fn also(&mut self, files: &[FileRead]) {
        for file in files {
            let content = Content {
                bytes_max: file.bytes_max,
                digest: file.digest,
            };
            self.files.insert(file.path.clone(), content);
        }
        self.watch_folders();
        // Something may have changed between the reading and the watching.
        self.told.event.notify_one();
    }

    /// Waits until a file's content is not what it was. It is known as it is then from now on, so that one change is
    /// told once. Nothing is lost if this is dropped before.
    pub async fn changed(&mut self) {
        loop {
            if !self.due {
                tokio::select! {
                    () = self.told.event.notified() => {}
                    () = sleep(POLL_EVERY) => self.told.moved.store(true, Ordering::Relaxed),
                }
                self.due = true;
            }
            sleep(SETTLE).await;
            if self.told.moved.swap(false, Ordering::Relaxed) {
                self.watch_folders();
            }
            let found = self.settled().await;
            self.due = false;
            if let Some(found) = found {
                self.files = found;
                return;
            }
        }
    }

    /// What stands in the files, once it has stayed the same for a moment; `None` if it is what is known.
    async fn settled(&self) -> Option<BTreeMap<PathBuf, Content>> {
        let mut found = self.look();
        for _ in 0..SETTLE_ROUNDS_MAX {
            if found == self.files {
                return None;
            }
            sleep(SETTLE).await;
            let again = self.look();
            if again == found {
                break;
            }
            found = again;
        }
        (found != self.files).then_some(found)
    }

    fn look(&self) -> BTreeMap<PathBuf, Content> {
        let look = |(path, known): (&PathBuf, &Content)| {
            let digest = digest_of(path, known.bytes_max);
            let bytes_max = known.bytes_max;
            (path.clone(), Content { bytes_max, digest })
        };
        self.files.iter().map(look).collect()
    }

    /// Watches every folder anew: the one of a name may be another one now.
    fn watch_folders(&mut self) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        for folder in std::mem::take(&mut self.folders) {
            // A folder that is gone is not watched any more.
            watcher.unwatch(&folder).ok();
        }
        for folder in self.files.keys().flat_map(|path| folders_of(path)) {
            if self.folders.contains(&folder) {
                continue;
            }
            match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.folders.insert(folder);
                }
                Err(error) => {
                    tracing::warn!(folder = %folder.display(), "a folder is not watched: {error}");
                }
            }
        }
    }
}

impl Told {
    fn take(&self, event: notify::Result<Event>) {
        let kind = event.map_or(EventKind::Any, |event| event.kind);
        match kind {
            // Reading is no change, or each look would bring about the next one.
            EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Modify(ModifyKind::Data(_)) => {}
            EventKind::Access(_) => return,
            EventKind::Any
            | EventKind::Create(_)
            | EventKind::Modify(_)
            | EventKind::Remove(_)
            | EventKind::Other => self.moved.store(true, Ordering::Relaxed),
        }
        self.event.notify_one();
    }
}

/// The folders in which something happens when the file changes: its own (or, as long as that is missing, the nearest
/// above it), those of symbolic links on the way to it, and the one that all links lead to.
fn folders_of(path: &Path) -> BTreeSet<PathBuf> {
    let mut folders = BTreeSet::new();
    let above = path.ancestors().skip(1).map(or_here);
    folders.extend(above.into_iter().find(|folder| folder.is_dir()));
    let links = path.ancestors().filter(|part| is_link(part));
    folders.extend(links.filter_map(Path::parent).map(or_here));
    let real = fs::canonicalize(path).ok();
    folders.extend(real.as_deref().and_then(Path::parent).map(Path::to_owned));
    folders
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink())
}

fn or_here(folder: &Path) -> PathBuf {
    match folder.as_os_str().is_empty() {
        true => PathBuf::from("."),
        false => folder.to_owned(),
    }
}

/// SHA-256 of as much of a file as was read at load; `None` if it cannot be read.
fn digest_of(path: &Path, bytes_max: u64) -> Option<[u8; 32]> {
    // Nobody waits for what another program may write into a pipe.
    fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    let mut file = File::open(path).ok()?.take(bytes_max);
    let mut context = Context::new(&SHA256);
    // The file may hold secrets.
    let mut piece = Zeroizing::new([0; PIECE_BYTES]);
    loop {
        match file.read(piece.as_mut_slice()) {
            Ok(0) => return context.finish().as_ref().try_into().ok(),
            Ok(read) => context.update(piece.get(..read)?),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}
