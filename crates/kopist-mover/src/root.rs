//! Where the container's paths lie.
//!
//! Inside a pod `/data` is `/data`. Tests give a directory that stands for `/`, so
//! that whole runs happen without a container; identities and source paths keep
//! the container's own names either way.

use std::path::{Path, PathBuf};

/// The directory that stands for `/`.
#[derive(Clone, Debug, Default)]
pub struct ContainerRoot(Option<PathBuf>);

impl ContainerRoot {
    /// The real root: paths are used as they are.
    pub fn real() -> Self {
        Self(None)
    }

    /// `directory` stands for `/`.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self(Some(directory.into()))
    }

    /// Where the container path lies on this machine.
    pub fn resolve(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        match &self.0 {
            None => path.to_path_buf(),
            Some(root) => root.join(path.strip_prefix("/").unwrap_or(path)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_put_in_front() {
        assert_eq!(ContainerRoot::real().resolve("/data"), Path::new("/data"));
        assert_eq!(ContainerRoot::at("/t").resolve("/data/x"), Path::new("/t/data/x"));
    }
}
