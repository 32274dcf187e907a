//! Opens files beneath the root and nowhere else. No other module of `files` opens a file.
//!
//! Where the system has `openat2` (Linux 5.6), the kernel keeps the whole resolution of a path
//! beneath the root. A symbolic link that stays inside is followed. One that is absolute or leads
//! outside is refused, also if another process renames directories during the resolution. On other
//! systems, and where a sandbox forbids the call, each component of the path is opened on its own,
//! relative to the directory before it, and no symbolic link is followed. That is stricter, and
//! takes one system call for each component.
//!
//! The program can allow links that leave the root, which the kernel then follows as anywhere else.
//! A root can also be a single file: then no other file of its directory is found.
//!
//! Only regular files and directories are opened, after a look at their type that opens nothing. To
//! open another file may have effects: the writer that waits at a FIFO goes on, a tape rewinds, a
//! watchdog starts.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{fstat, openat, statat, AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::files::meta::{Identity, Meta};
use crate::files::source::Source;
use crate::logging::debug;

/// An open directory, or a single file in it. Nothing outside it can be opened through it, unless the
/// program has allowed links that lead there.
#[derive(Debug)]
pub(super) struct Root {
    dir: OwnedFd,
    identity: Identity,
    reach: Reach,
    /// Whether the system lacks `openat2`, or a sandbox forbids it, so that it is not tried again.
    lacks_openat2: AtomicBool,
}

/// The files that a root has.
#[derive(Clone, Debug, Default)]
pub(super) struct Reach {
    /// The name of the single file, if the root has no other.
    pub(super) only: Option<PathBuf>,
    /// Whether symbolic links may leave the root.
    pub(super) leaves: bool,
}

/// The file or directory that a path names.
#[derive(Debug)]
pub(super) enum Found {
    File(Opened),
    Directory(OwnedFd, Meta),
    /// A directory of files in the program, which is never listed.
    Folder,
}

/// An open regular file, or one in the program.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) source: Source,
    pub(super) meta: Meta,
    /// The time of the last change of the inode, in seconds since 1970 and nanoseconds.
    pub(super) changed: (i64, u32),
}

/// The reason why nothing was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// There is no such file, or it may not be served: it is outside the root, a device or a FIFO.
    NotFound,
    /// The file exists, and this process may not read it.
    Forbidden,
    /// The process or the system has no descriptor left, or the budget has no memory for a page.
    Exhausted,
    /// The file system failed.
    Failed(Errno),
}

/// The flags for a file, which is only read. Should another process put a FIFO or a terminal in its
/// place after the look, then opening the FIFO does not wait for its other end, and the terminal does
/// not become the controlling terminal of this process.
const FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// The flags for a directory on the path to a file. On Linux they need no permission to read it.
#[cfg(any(target_os = "linux", target_os = "android"))]
const PASSAGE: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC).union(OFlags::PATH);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const PASSAGE: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);

/// The flags for a look at a file, which do not open it.
#[cfg(any(target_os = "linux", target_os = "android"))]
const LOOK: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// The number of attempts at a resolution that a rename disturbs.
#[cfg(any(target_os = "linux", target_os = "android"))]
const RETRIES: usize = 8;

impl Root {
    pub(super) fn open(path: &Path, reach: Reach) -> Result<Root, Errno> {
        let dir = rustix::fs::open(path, PASSAGE, Mode::empty())?;
        let identity = Identity::of(&fstat(&dir)?);
        Ok(Root { dir, identity, reach, lacks_openat2: AtomicBool::new(false) })
    }

    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    /// Returns the name of the single file, if the root is one.
    pub(super) fn only(&self) -> Option<&Path> {
        self.reach.only.as_deref()
    }

    /// Opens the regular file or directory that `path` names, relative to the root.
    pub(super) fn find(&self, path: &Path) -> Result<Found, Missing> {
        let (kind, _) = self.look(path)?;
        if !matches!(kind, FileType::RegularFile | FileType::Directory) {
            return Err(Missing::NotFound);
        }
        let fd = self.open_beneath(path, FLAGS)?;
        // Another process may have put another file in its place after the look.
        let stat = fstat(&fd)?;
        let meta = Meta::of(&stat);
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                // The types of these fields differ between systems.
                #[allow(clippy::unnecessary_cast)]
                let changed = (stat.st_ctime as i64, stat.st_ctime_nsec as u32);
                Ok(Found::File(Opened { source: Source::File(File::from(fd)), meta, changed }))
            }
            FileType::Directory => Ok(Found::Directory(fd, meta)),
            _ => Err(Missing::NotFound),
        }
    }

    /// Returns whether `path` names a directory. On Linux that directory need not be readable.
    pub(super) fn is_directory(&self, path: &Path) -> bool {
        self.open_beneath(path, PASSAGE).is_ok()
    }

    /// Returns the type and the metadata of the file that `path` names, without opening it.
    pub(super) fn look(&self, path: &Path) -> Result<(FileType, Meta), Missing> {
        let stat = self.stat_beneath(path)?;
        Ok((FileType::from_raw_mode(stat.st_mode), Meta::of(&stat)))
    }

    fn stat_beneath(&self, path: &Path) -> Result<Stat, Errno> {
        self.check_name(path)?;
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(opened) = self.open_in_one_step(path, LOOK) {
            return fstat(opened?);
        }
        if self.reach.leaves {
            return statat(&self.dir, path, AtFlags::empty());
        }
        let (parent, name) = open_parent(self.dir.as_fd(), path)?;
        let parent = parent.as_ref().map_or(self.dir.as_fd(), |fd| fd.as_fd());
        statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
    }

    fn open_beneath(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        self.check_name(path)?;
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(opened) = self.open_in_one_step(path, flags) {
            return opened;
        }
        if self.reach.leaves {
            return openat(&self.dir, path, flags, Mode::empty());
        }
        let (parent, name) = open_parent(self.dir.as_fd(), path)?;
        let parent = parent.as_ref().map_or(self.dir.as_fd(), |fd| fd.as_fd());
        openat(parent, name, flags.union(OFlags::NOFOLLOW), Mode::empty())
    }

    /// Returns an error for every path but that of the single file, if the root is one.
    fn check_name(&self, path: &Path) -> Result<(), Errno> {
        match &self.reach.only {
            Some(only) if only != path => Err(Errno::NOENT),
            _ => Ok(()),
        }
    }

    /// Opens `path` with `openat2`. Returns `None` if this process cannot call it.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn open_in_one_step(&self, path: &Path, flags: OFlags) -> Option<Result<OwnedFd, Errno>> {
        if self.lacks_openat2.load(Ordering::Relaxed) {
            return None;
        }
        match openat2(self.dir.as_fd(), path, flags, self.reach.leaves) {
            Err(Errno::NOSYS | Errno::PERM) if self.finds_no_openat2() => {
                debug!("no openat2 here: symbolic links are not followed");
                self.lacks_openat2.store(true, Ordering::Relaxed);
                None
            }
            result => Some(result),
        }
    }

    /// Returns whether `openat2` fails even for the root itself. A single file can cause its errors,
    /// too: a virus scanner, a device group or a file of `/proc` refuses with EPERM.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn finds_no_openat2(&self) -> bool {
        let opened = openat2(self.dir.as_fd(), Path::new("."), PASSAGE, self.reach.leaves);
        matches!(opened, Err(Errno::NOSYS | Errno::PERM))
    }

    /// Opens a regular file.
    #[cfg(test)]
    pub(super) fn file(&self, path: &Path) -> Result<Opened, Missing> {
        match self.find(path)? {
            Found::File(opened) => Ok(opened),
            Found::Directory(..) | Found::Folder => Err(Missing::NotFound),
        }
    }

    /// Makes the root behave as on a system without `openat2`.
    #[cfg(test)]
    pub(super) fn without_openat2(self) -> Root {
        self.lacks_openat2.store(true, Ordering::Relaxed);
        self
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn openat2(
    dir: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
    leaves: bool,
) -> Result<OwnedFd, Errno> {
    use rustix::fs::ResolveFlags;
    // The links of `/proc` that are no paths, such as that to the root of a process, lead nowhere
    // in any case.
    let resolve = match leaves {
        true => ResolveFlags::NO_MAGICLINKS,
        false => ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS,
    };
    for _ in 0..RETRIES {
        match rustix::fs::openat2(dir, path, flags, Mode::empty(), resolve) {
            // A rename disturbed the resolution, or a signal interrupted the call.
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return result,
        }
    }
    Err(Errno::NOENT)
}

/// Opens the directory of the last component of `path`, one component after the other. None of them
/// may be a symbolic link. Returns the last component with it, and no directory if that is `dir`.
fn open_parent<'p>(
    dir: BorrowedFd<'_>,
    path: &'p Path,
) -> Result<(Option<OwnedFd>, &'p Path), Errno> {
    let mut components = path.components().peekable();
    let mut parent: Option<OwnedFd> = None;
    while let Some(component) = components.next() {
        let name = match component {
            Component::Normal(name) => Path::new(name),
            Component::CurDir => Path::new("."),
            // Not reached: `Names` and listings never have such a component.
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => break,
        };
        if components.peek().is_none() {
            return Ok((parent, name));
        }
        let at = parent.as_ref().map_or(dir, |fd| fd.as_fd());
        parent = Some(openat(at, name, PASSAGE.union(OFlags::NOFOLLOW), Mode::empty())?);
    }
    Err(Errno::NOENT)
}

impl From<Errno> for Missing {
    fn from(errno: Errno) -> Missing {
        match errno {
            Errno::ACCESS | Errno::PERM => Missing::Forbidden,
            Errno::MFILE | Errno::NFILE | Errno::NOMEM => Missing::Exhausted,
            // A path that leaves the root, too many links, too long a name, a socket, a device
            // without driver.
            Errno::NOENT
            | Errno::NOTDIR
            | Errno::XDEV
            | Errno::LOOP
            | Errno::MLINK
            | Errno::NAMETOOLONG
            | Errno::NXIO
            | Errno::NODEV
            | Errno::INVAL => Missing::NotFound,
            other => Missing::Failed(other),
        }
    }
}

impl From<Missing> for io::Error {
    fn from(missing: Missing) -> io::Error {
        match missing {
            Missing::NotFound => io::ErrorKind::NotFound.into(),
            Missing::Forbidden => io::ErrorKind::PermissionDenied.into(),
            Missing::Exhausted => io::Error::other("no descriptor is left"),
            Missing::Failed(errno) => errno.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    /// Creates a root with a file, a directory and links of every kind. Beside it is a file
    /// `secret`.
    fn tree(name: &str) -> PathBuf {
        let base =
            std::env::temp_dir().join(format!("wheelhouse-root-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&base);
        let root = base.join("root");
        fs::create_dir_all(root.join("dir")).unwrap();
        fs::write(base.join("secret"), "secret").unwrap();
        fs::write(root.join("dir/file"), "open").unwrap();
        symlink("dir/file", root.join("inside")).unwrap();
        symlink("dir", root.join("way")).unwrap();
        symlink("../secret", root.join("outside")).unwrap();
        symlink("..", root.join("up")).unwrap();
        symlink(base.join("secret"), root.join("absolute")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        symlink("/proc/self/root/etc/passwd", root.join("magic")).unwrap();
        base
    }

    fn read(root: &Root, path: &str) -> Result<String, Missing> {
        let mut room = [0; 100];
        let len = root.file(Path::new(path))?.source.read_at(&mut room, 0).unwrap();
        let text = String::from_utf8(room[..len].to_vec()).unwrap();
        Ok(text)
    }

    const NEVER: [&str; 10] = [
        "outside",
        "up/secret",
        "absolute",
        "loop",
        "magic",
        "../secret",
        "dir/../../secret",
        "/etc/passwd",
        "dir/file/x",
        "way/../../secret",
    ];

    #[test]
    fn links_are_followed_only_inside_the_root() {
        let base = tree("kernel");
        let root = Root::open(&base.join("root"), Reach::default()).unwrap();
        assert_eq!(read(&root, "dir/file").as_deref(), Ok("open"));
        for path in NEVER {
            assert_eq!(read(&root, path).unwrap_err(), Missing::NotFound, "{path}");
        }
        if !root.lacks_openat2.load(Ordering::Relaxed) {
            assert_eq!(read(&root, "inside").as_deref(), Ok("open"));
            assert_eq!(read(&root, "way/file").as_deref(), Ok("open"));
        }
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn without_openat2_links_are_not_followed() {
        let base = tree("steps");
        let root = Root::open(&base.join("root"), Reach::default()).unwrap().without_openat2();
        assert_eq!(read(&root, "dir/file").as_deref(), Ok("open"));
        assert!(matches!(root.find(Path::new(".")), Ok(Found::Directory(..))));
        for path in NEVER.into_iter().chain(["inside", "way/file"]) {
            assert_eq!(read(&root, path).unwrap_err(), Missing::NotFound, "{path}");
        }
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn links_that_leave_the_root_are_followed_if_the_program_allows_it() {
        let base = tree("leaves");
        let open = || Root::open(&base.join("root"), Reach { only: None, leaves: true }).unwrap();
        for root in [open(), open().without_openat2()] {
            for path in ["outside", "up/secret", "absolute"] {
                assert_eq!(read(&root, path).as_deref(), Ok("secret"), "{path}");
            }
            assert_eq!(read(&root, "inside").as_deref(), Ok("open"));
            assert_eq!(read(&root, "loop").unwrap_err(), Missing::NotFound);
        }
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn a_root_that_is_one_file_has_no_other() {
        let base = tree("single");
        let open = |name: &str| {
            let reach = Reach { only: Some(name.into()), leaves: true };
            Root::open(&base.join("root"), reach).unwrap()
        };
        assert_eq!(read(&open("absolute"), "absolute").as_deref(), Ok("secret"));
        for root in [open("inside"), open("inside").without_openat2()] {
            assert_eq!(read(&root, "inside").as_deref(), Ok("open"));
            for path in ["dir/file", "outside", "../root/inside", "./inside", "dir"] {
                assert_eq!(read(&root, path).unwrap_err(), Missing::NotFound, "{path}");
            }
            assert!(root.find(Path::new(".")).is_err() && !root.is_directory(Path::new("dir")));
        }
        fs::remove_dir_all(base).unwrap();
    }

    /// A virus scanner, for example, refuses one file with the error of a sandbox.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[test]
    fn an_error_of_one_file_does_not_switch_symbolic_links_off() {
        let base = tree("refused");
        let root = Root::open(&base.join("root"), Reach::default()).unwrap();
        let _ = root.file(Path::new("inside"));
        if !root.lacks_openat2.load(Ordering::Relaxed) {
            assert!(!root.finds_no_openat2(), "the root itself can be opened");
        }
        fs::remove_dir_all(base).unwrap();
    }
}
