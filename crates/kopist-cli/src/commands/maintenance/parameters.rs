//! The parameters of maintenance in the repository.

use kopist_format::maintenance::MaintenanceParameters;
use kopist_repo::{ManifestView, RepositoryWriter, manifest::Labels};

use crate::error::CommandError;

fn labels() -> Labels {
    [("type".to_owned(), "maintenance".to_owned())].into()
}

/// The parameters; the built-in ones if none were ever stored.
pub(in crate::commands) fn load(
    manifests: &ManifestView,
) -> Result<MaintenanceParameters, CommandError> {
    match manifests.find_latest(&labels()) {
        Some(meta) => Ok(manifests.payload(meta.id.as_str())?),
        None => Ok(MaintenanceParameters::default()),
    }
}

/// Stores parameters in place of any others.
pub(in crate::commands) fn save(
    writer: &RepositoryWriter,
    parameters: &MaintenanceParameters,
) -> Result<(), CommandError> {
    writer.replace_manifests(&labels(), parameters)?;
    Ok(())
}
