//! Data sets, the same at every run.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use kopist_testkit::tree::Rng;

use crate::step::Result;

/// A named data set.
pub(crate) struct DataSet {
    /// Shown in the table.
    pub(crate) name: &'static str,
    /// Makes it in a directory that does not exist yet.
    pub(crate) make: fn(&Path) -> Result,
}

/// What is measured.
pub(crate) const SETS: [DataSet; 2] = [
    DataSet { name: "1 GiB, incompressible", make: large },
    DataSet { name: "50,000 small files", make: small },
];

/// 16 files of 64 MiB.
fn large(root: &Path) -> Result {
    fs::create_dir_all(root)?;
    let mut rng = Rng::new(1);
    let mut buffer = vec![0; 1 << 20];
    for number in 0..16 {
        let mut file = File::create(root.join(format!("{number:02}.bin")))?;
        for _ in 0..64 {
            rng.fill(&mut buffer);
            file.write_all(&buffer)?;
        }
    }
    Ok(())
}

/// 500 directories of 100 files of up to 8 KiB, half of it text.
fn small(root: &Path) -> Result {
    let mut rng = Rng::new(2);
    for directory in 0..500 {
        let directory = root.join(format!("{:02}/{directory:03}", directory / 25));
        fs::create_dir_all(&directory)?;
        for number in 0..100 {
            let length = rng.below(8 << 10);
            let bytes = if number % 2 == 0 { rng.bytes(length) } else { rng.text(length) };
            fs::write(directory.join(format!("file-{number:03}")), bytes)?;
        }
    }
    Ok(())
}
