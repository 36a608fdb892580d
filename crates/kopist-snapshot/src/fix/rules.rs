//! The rules of kopia's two ways to repair.

use kopist_format::directory::DirEntry;
use kopist_format::id::ObjectId;

use super::{Pattern, Rule, Verdict};
use crate::verify::FileVerifier;

/// Finds files that cannot be read.
pub struct InvalidFiles<'a> {
    /// Looks whether they can.
    pub verifier: FileVerifier<'a>,
    /// Is told what was found.
    pub found: &'a (dyn Fn(&str, &crate::SnapshotError) + Sync),
}

impl Rule for InvalidFiles<'_> {
    fn judge(&self, path: &str, entry: &DirEntry) -> Verdict {
        if entry.is_dir() {
            return Verdict::Keep;
        }
        let verified = match &entry.object {
            Some(object) => self.verifier.verify(object).map_err(Into::into),
            None => Err(crate::SnapshotError::NoObject(path.to_owned())),
        };
        match verified {
            Ok(()) => Verdict::Keep,
            Err(error) => {
                (self.found)(path, &error);
                Verdict::Invalid(error)
            }
        }
    }
}

/// Removes entries by what they hold or by their names.
pub struct RemoveFiles<'a> {
    /// Objects to remove.
    pub objects: Vec<ObjectId>,
    /// Patterns of base names to remove.
    pub names: Vec<Pattern>,
    /// Is told what is removed.
    pub removed: &'a (dyn Fn(&str) + Sync),
}

impl Rule for RemoveFiles<'_> {
    fn judge(&self, path: &str, entry: &DirEntry) -> Verdict {
        let name = entry.name_text();
        if entry.object.is_some_and(|object| self.objects.contains(&object))
            || self.names.iter().any(|pattern| pattern.matches(&name))
        {
            (self.removed)(path);
            return Verdict::Remove;
        }
        Verdict::Keep
    }
}
