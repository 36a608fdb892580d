//! Placeholders of a shallow restore: files that hold an entry instead of the data.
//!
//! A tree with placeholders is stored as if the data were there: the entry is taken as it is,
//! provided that the repository has all of its contents (`kopia:fs/localfs/shallow_fs.go`).

use kopist_format::directory::DirBuilder;
use kopist_format::directory::DirEntry;

use crate::fs::Kind;
use crate::upload::directory::Dir;
use crate::upload::run::Run;

/// What the names of placeholders end in; also the name of the file in a directory's one.
pub(in crate::upload) const SUFFIX: &[u8] = b".kopia-entry";

/// Larger files are not placeholders.
const MAX_PLACEHOLDER: usize = 16 << 20;

impl Run<'_> {
    /// Stores what a placeholder stands for.
    pub(in crate::upload) fn add_placeholder(
        &self,
        dir: &Dir,
        name: &[u8],
        kind: Kind,
        path: &[u8],
        builder: &mut DirBuilder,
    ) {
        match self.read_placeholder(dir, name, kind) {
            Ok(entry) => builder.add(entry),
            Err(text) => {
                let own = name.strip_suffix(SUFFIX).unwrap_or(name);
                let policies = dir.policies.child(own);
                let handling = &policies.effective().error_handling;
                let ignored = if kind == Kind::Directory {
                    handling.ignore_directory_errors
                } else {
                    dir.policies.effective().error_handling.ignore_file_errors
                };
                let path = path.strip_suffix(SUFFIX).unwrap_or(path);
                self.fail_in(builder, path, text, ignored.unwrap_or(false));
            }
        }
    }

    fn read_placeholder(&self, dir: &Dir, name: &[u8], kind: Kind) -> Result<DirEntry, String> {
        let own = name.strip_suffix(SUFFIX).unwrap_or(name);
        if dir.folder.metadata(own).map_err(|error| error.to_string())?.is_some() {
            return Err(format!(
                "{:?}, {:?} exist: shallowrestore tree is corrupt probably because a previous \
                 restore into a shallow tree was interrupted",
                dir.folder.display(own),
                dir.folder.display(name)
            ));
        }
        let content = match kind {
            Kind::Directory => dir
                .folder
                .folder(name)
                .and_then(|folder| folder.read_small(SUFFIX, MAX_PLACEHOLDER)),
            _ => dir.folder.read_small(name, MAX_PLACEHOLDER),
        };
        let content = content
            .map_err(|error| format!("can't read placeholder: {error}"))?
            .ok_or_else(|| "can't read placeholder: it holds no entry".to_owned())?;
        let entry: DirEntry = serde_json::from_slice(&content)
            .map_err(|error| format!("can't read placeholder: {error}"))?;
        let object = entry.object.ok_or_else(|| "can't read placeholder: no object".to_owned())?;
        self.verify(&object).map_err(|error| {
            format!(
                "invalid placeholder for {:?} contains foreign object.ID: {error}",
                String::from_utf8_lossy(own)
            )
        })?;
        Ok(entry)
    }

    /// Whether the repository knows every content of an object.
    fn verify(&self, object: &kopist_format::id::ObjectId) -> Result<(), String> {
        let repo = self.writer.repository();
        let mut missing = None;
        repo.object_contents(object, &mut |content| {
            if missing.is_none() && !matches!(repo.content_info(&content), Ok(Some(_))) {
                missing = Some(content);
            }
        })
        .map_err(|error| error.to_string())?;
        match missing {
            None => Ok(()),
            Some(content) => Err(format!("content not found: {content}")),
        }
    }
}
