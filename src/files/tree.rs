//! [`Origin`] and [`Tree`]: where files come from, a directory of the system or the program itself.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::FileType;

use crate::files::meta::Meta;
use crate::files::packed::Packed;
use crate::files::place::Place;
use crate::files::root::{Found, Missing, Opened, Root};

/// The place that the program has named.
#[derive(Debug)]
pub(super) enum Origin {
    Place(Place),
    Packed(Packed),
}

/// The files of one request.
#[derive(Debug)]
pub(super) enum Tree<'a> {
    Root(Arc<Root>),
    Packed(&'a Packed),
}

impl Origin {
    /// Returns the files as they are at `now`, a time since 1970.
    pub(super) fn tree(&self, now: Duration) -> Result<Tree<'_>, Missing> {
        match self {
            Origin::Place(place) => place.root(now).map(Tree::Root),
            Origin::Packed(packed) => Ok(Tree::Packed(packed)),
        }
    }

    /// Sets whether links may leave the root. Files in the program have no links.
    pub(super) fn set_leaves(&mut self, leaves: bool) {
        match self {
            Origin::Place(place) => place.set_leaves(leaves),
            Origin::Packed(_) => {}
        }
    }
}

impl Tree<'_> {
    /// Opens the regular file or directory that `path` names, relative to the root.
    pub(super) fn find(&self, path: &Path) -> Result<Found, Missing> {
        match self {
            Tree::Root(root) => root.find(path),
            Tree::Packed(packed) => packed.find(path),
        }
    }

    /// Opens a regular file.
    pub(super) fn file(&self, path: &Path) -> Result<Opened, Missing> {
        match self.find(path)? {
            Found::File(opened) => Ok(opened),
            Found::Directory(..) | Found::Folder => Err(Missing::NotFound),
        }
    }

    /// Returns the type and the metadata of the file that `path` names, without opening it.
    pub(super) fn look(&self, path: &Path) -> Result<(FileType, Meta), Missing> {
        match self {
            Tree::Root(root) => root.look(path),
            Tree::Packed(packed) => packed.look(path),
        }
    }

    /// Returns whether `path` names a directory. On Linux that directory need not be readable.
    pub(super) fn is_directory(&self, path: &Path) -> bool {
        match self {
            Tree::Root(root) => root.is_directory(path),
            Tree::Packed(packed) => matches!(packed.find(path), Ok(Found::Folder)),
        }
    }

    /// Returns the name of the single file, if the root is one.
    pub(super) fn only(&self) -> Option<&Path> {
        match self {
            Tree::Root(root) => root.only(),
            Tree::Packed(_) => None,
        }
    }
}
