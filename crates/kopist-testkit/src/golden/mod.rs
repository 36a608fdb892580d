//! Golden repositories: written by kopia, described completely, never changed.
//!
//! Each one is an archive `NAME.tar.zst` with a description `NAME.json` (or `NAME.json.zst`).
//! `testdata/golden/` holds a selection that covers every axis of the format. The whole set is
//! larger than a source repository should be: when it lies in the folder named by
//! `KOPIST_GOLDEN`, or in `shared/golden` beside the checkout, the tests run over all of it.

mod description;
mod unpack;

pub use description::{
    ContentEntry, Description, ExpectedCommand, ExpectedRestore, Oracle, Snapshot, SnapshotSource,
    VisibleSnapshot,
};

use std::path::{Path, PathBuf};

/// One golden repository: its description and its archive.
#[derive(Clone, Debug)]
pub struct GoldenRepository {
    /// Everything that is known about it.
    pub description: Description,
    archive: PathBuf,
}

impl GoldenRepository {
    /// The name, which is also the archive's top directory.
    pub fn name(&self) -> &str {
        &self.description.name
    }

    /// Unpacks into `folder` and returns the repository's directory, `folder/NAME`.
    ///
    /// Blob times keep their nanoseconds: epochs and maintenance depend on them.
    pub fn unpack(&self, folder: &Path) -> PathBuf {
        unpack::unpack(&self.archive, folder);
        folder.join(&self.description.archive.top_directory)
    }
}

/// The folder that the golden repositories are taken from.
pub fn folder() -> PathBuf {
    if let Some(named) = std::env::var_os("KOPIST_GOLDEN") {
        return PathBuf::from(named);
    }
    let beside = crate::checkout().join("../shared/golden");
    if beside.is_dir() { beside } else { crate::testdata().join("golden") }
}

/// All golden repositories of [`folder`], sorted by name.
pub fn all() -> Vec<GoldenRepository> {
    all_in(&folder())
}

/// All golden repositories of one folder, sorted by name.
pub fn all_in(folder: &Path) -> Vec<GoldenRepository> {
    let mut found: Vec<GoldenRepository> = std::fs::read_dir(folder)
        .unwrap_or_else(|e| panic!("cannot list the golden repositories {}: {e}", folder.display()))
        .filter_map(|entry| {
            let name = entry.expect("directory entry").file_name().into_string().ok()?;
            name.strip_suffix(".tar.zst").map(|name| load(folder, name))
        })
        .collect();
    assert!(!found.is_empty(), "no golden repository in {}", folder.display());
    found.sort_by(|a, b| a.description.name.cmp(&b.description.name));
    found
}

/// One golden repository by name; from [`folder`], else from `testdata/golden`.
///
/// Use names that `testdata/golden` holds, so that the test runs on every checkout.
pub fn get(name: &str) -> GoldenRepository {
    let archive = format!("{name}.tar.zst");
    let places = [folder(), crate::testdata().join("golden")];
    let place = places
        .iter()
        .find(|place| place.join(&archive).is_file())
        .unwrap_or_else(|| panic!("no golden repository {name} in any of {places:?}"));
    load(place, name)
}

/// Those of `names` that are at hand; the rest are only in the whole set.
pub fn available(names: &[&str]) -> Vec<GoldenRepository> {
    let places = [folder(), crate::testdata().join("golden")];
    names
        .iter()
        .filter_map(|name| {
            let archive = format!("{name}.tar.zst");
            let place = places.iter().find(|place| place.join(&archive).is_file())?;
            Some(load(place, name))
        })
        .collect()
}

fn load(folder: &Path, name: &str) -> GoldenRepository {
    let plain = folder.join(format!("{name}.json"));
    let text = if plain.is_file() {
        std::fs::read(&plain).expect("the description is readable")
    } else {
        let packed = folder.join(format!("{name}.json.zst"));
        let file = std::fs::File::open(&packed)
            .unwrap_or_else(|e| panic!("no description of {name}: {}: {e}", packed.display()));
        zstd::decode_all(file).unwrap_or_else(|e| panic!("{}: {e}", packed.display()))
    };
    let description = serde_json::from_slice(&text)
        .unwrap_or_else(|e| panic!("the description of {name} has another shape: {e}"));
    GoldenRepository { description, archive: folder.join(format!("{name}.tar.zst")) }
}
