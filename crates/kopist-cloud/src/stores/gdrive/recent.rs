use std::collections::VecDeque;

use kopist_blob::BlobId;

use super::File;

/// How many changes are remembered: more than one process makes in the time that a search needs
/// to learn of them, kopia remembers 256.
const LATELY: usize = 1024;

/// What we have stored and deleted lately. Searches may not know it yet.
#[derive(Debug, Default)]
pub(super) struct Recent(VecDeque<Change>);

#[derive(Debug)]
enum Change {
    Stored(BlobId, File),
    /// The id of a file.
    Deleted(String),
}

impl Recent {
    /// A file was stored under a name.
    pub(super) fn stored(&mut self, id: &BlobId, file: File) {
        self.forget(&file.id);
        self.remember(Change::Stored(id.clone(), file));
    }

    /// A file is gone.
    pub(super) fn deleted(&mut self, file: &str) {
        self.forget(file);
        self.remember(Change::Deleted(file.to_owned()));
    }

    fn forget(&mut self, file: &str) {
        self.0.retain(|change| !matches!(change, Change::Stored(_, known) if known.id == file));
    }

    fn remember(&mut self, change: Change) {
        if self.0.len() >= LATELY {
            self.0.pop_front();
        }
        self.0.push_back(change);
    }

    /// Whether a file is gone.
    pub(super) fn is_gone(&self, file: &str) -> bool {
        self.0.iter().any(|change| matches!(change, Change::Deleted(known) if known == file))
    }

    /// The file that was stored last under a name, unless it is gone.
    pub(super) fn find(&self, id: &BlobId) -> Option<File> {
        self.0.iter().rev().find_map(|change| match change {
            Change::Stored(known, file) if known == id => Some(file.clone()),
            _ => None,
        })
    }

    /// The names with a prefix under which files were stored that are not gone.
    pub(super) fn names(&self, prefix: &str) -> Vec<BlobId> {
        let stored = self.0.iter().filter_map(|change| match change {
            Change::Stored(id, _) if id.as_str().starts_with(prefix) => Some(id.clone()),
            _ => None,
        });
        stored.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(id: &str) -> File {
        serde_json::from_value(
            serde_json::json!({"id": id, "modifiedTime": "2026-01-01T00:00:00Z"}),
        )
        .unwrap()
    }

    #[test]
    fn the_last_change_counts() {
        let mut recent = Recent::default();
        let id = BlobId::from("p1");
        recent.stored(&id, file("a"));
        recent.stored(&"q1".into(), file("b"));
        assert_eq!(recent.find(&id).unwrap().id, "a");
        assert_eq!(recent.names("p"), std::slice::from_ref(&id));
        recent.deleted("a");
        assert!(recent.is_gone("a") && !recent.is_gone("b"));
        assert!(recent.find(&id).is_none() && recent.names("p").is_empty());
        recent.stored(&id, file("c"));
        assert_eq!(recent.find(&id).unwrap().id, "c");
        assert!(recent.is_gone("a"));
    }

    #[test]
    fn only_so_much_is_remembered() {
        let mut recent = Recent::default();
        for number in 0..=LATELY {
            recent.stored(&format!("p{number}").into(), file(&number.to_string()));
        }
        assert_eq!(recent.names("").len(), LATELY);
        assert!(recent.find(&"p0".into()).is_none());
    }
}
