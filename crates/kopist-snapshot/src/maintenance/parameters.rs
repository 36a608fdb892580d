//! The parameters of maintenance: one manifest, of which the latest counts.

use kopist_format::maintenance::MaintenanceParameters;
use kopist_repo::manifest::Labels;
use kopist_repo::{ManifestView, RepositoryWriter};

use crate::Result;

fn labels() -> Labels {
    [("type".to_owned(), "maintenance".to_owned())].into()
}

/// The parameters; the built-in ones, which have no owner, if none were ever stored.
pub fn parameters(view: &ManifestView) -> Result<MaintenanceParameters> {
    match view.find_latest(&labels()) {
        Some(meta) => Ok(view.payload(meta.id.as_str())?),
        None => Ok(MaintenanceParameters::default()),
    }
}

/// The same, when manifests may be damaged: the latest that can be read. Without any there is no
/// owner, so that nobody runs maintenance by mistake.
pub fn readable_parameters(view: &ManifestView) -> MaintenanceParameters {
    let found = view.find(&labels());
    found.iter().rev().find_map(|meta| view.payload(meta.id.as_str()).ok()).unwrap_or_default()
}

/// Stores parameters in the place of any others.
pub fn set_parameters(writer: &RepositoryWriter, parameters: &MaintenanceParameters) -> Result<()> {
    writer.replace_manifests(&labels(), parameters)?;
    Ok(())
}

/// Makes this client the owner if maintenance was never set up. Tells whether it did.
pub fn claim(writer: &RepositoryWriter) -> Result<bool> {
    if writer.manifests()?.find_latest(&labels()).is_some() {
        return Ok(false);
    }
    let owner = writer.repository().identity().to_string();
    set_parameters(writer, &MaintenanceParameters { owner, ..MaintenanceParameters::default() })?;
    Ok(true)
}
