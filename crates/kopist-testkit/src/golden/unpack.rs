//! Unpacking an archive with modification times to the nanosecond.

use std::io::Read;
use std::path::Path;

/// Unpacks the zstd-compressed tar file `archive` below `folder`.
pub(super) fn unpack(archive: &Path, folder: &Path) {
    let file = std::fs::File::open(archive)
        .unwrap_or_else(|e| panic!("cannot open {}: {e}", archive.display()));
    let decoder = zstd::Decoder::new(file).expect("a zstd decoder");
    let mut tar = tar::Archive::new(decoder);
    tar.set_preserve_permissions(true);
    // Directories get their times last: creating files in them changes the times.
    let mut directories = Vec::new();
    for entry in tar.entries().expect("a tar file") {
        let mut entry = entry.unwrap_or_else(|e| panic!("{}: {e}", archive.display()));
        let mtime = pax_mtime(&mut entry);
        let path = folder.join(entry.path().expect("a path"));
        let is_directory = entry.header().entry_type().is_dir();
        assert!(
            entry.unpack_in(folder).unwrap_or_else(|e| panic!("{}: {e}", path.display())),
            "{} is outside of the archive's folder",
            path.display()
        );
        if is_directory {
            directories.push((path, mtime));
        } else {
            set_mtime(&path, mtime);
        }
    }
    for (path, mtime) in directories.into_iter().rev() {
        set_mtime(&path, mtime);
    }
}

fn set_mtime(path: &Path, mtime: filetime::FileTime) {
    filetime::set_file_mtime(path, mtime)
        .unwrap_or_else(|e| panic!("cannot set the time of {}: {e}", path.display()));
}

/// The time of an entry: the decimal seconds of its `mtime` record, else the header's seconds.
fn pax_mtime<R: Read>(entry: &mut tar::Entry<'_, R>) -> filetime::FileTime {
    let seconds = i64::try_from(entry.header().mtime().expect("a header with a time")).unwrap();
    let mut time = filetime::FileTime::from_unix_time(seconds, 0);
    if let Ok(Some(records)) = entry.pax_extensions() {
        for record in records {
            let record = record.expect("an extended header record");
            if record.key() == Ok("mtime") {
                time = decimal_time(record.value().expect("text"));
            }
        }
    }
    time
}

fn decimal_time(text: &str) -> filetime::FileTime {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let nanos: u32 = format!("{fraction:0<9}")[..9].parse().expect("decimal digits");
    filetime::FileTime::from_unix_time(seconds.parse().expect("decimal digits"), nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_times_keep_nanoseconds() {
        assert_eq!(decimal_time("12.5"), filetime::FileTime::from_unix_time(12, 500_000_000));
        assert_eq!(decimal_time("12.000000001"), filetime::FileTime::from_unix_time(12, 1));
        assert_eq!(decimal_time("12"), filetime::FileTime::from_unix_time(12, 0));
    }

    #[test]
    fn blob_files_come_out_as_described() {
        let golden = crate::golden::get("ecc-1");
        let folder = tempfile::tempdir().unwrap();
        let repository = golden.unpack(folder.path());
        let blobs = golden.description.blobs();
        assert!(!blobs.is_empty());
        for blob in blobs {
            let meta = std::fs::metadata(repository.join(&blob.file)).unwrap();
            let time = filetime::FileTime::from_last_modification_time(&meta);
            let nanos =
                i128::from(time.unix_seconds()) * 1_000_000_000 + i128::from(time.nanoseconds());
            assert_eq!((meta.len(), nanos), (blob.length, i128::from(blob.mtime_ns)));
        }
    }
}
