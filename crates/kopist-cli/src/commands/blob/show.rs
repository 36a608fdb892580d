//! `blob show`

use kopist_blob::{BlobId, BlobStore as _, ByteRange};
use kopist_format::blob_crypto::open_blob;

use crate::grammar::{Arg, Command, Flag};
use crate::{
    app::{App, Outcome},
    commands::pretty::indent_json,
    error::Context as _,
    grammar::Matches,
    session,
};

const FLAGS: &[Flag] = &[Flag::switch("decrypt", "Decrypt the blob.")];

/// `blob show`
pub(super) static COMMAND: Command = Command::new("show", "Print blobs.")
    .aliases(&["cat"])
    .flags(&[FLAGS])
    .args(&[Arg::text("blobID", "").required().repeated()])
    .run(run);

fn run(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |session| {
        for id in matches.texts("blobID") {
            let blob = session.repo.store().get(&BlobId::from(id.as_str()), ByteRange::Full);
            let blob = blob.context("error reading blob").context("error presenting blob")?;
            // Blobs that are encrypted as a whole: logs, and the indexes and logs of format 1.
            let sealed = id.starts_with(['_', 'n', 'm', 'l']);
            let body = if sealed && matches.flag("decrypt") {
                let cipher = session.repo.format().cipher().context("error decrypting blob")?;
                open_blob(&cipher, &id, &blob)
                    .context("error decrypting blob")
                    .context("error presenting blob")?
            } else {
                blob.to_vec()
            };
            if id.starts_with(['m', 'l']) {
                app.console.print(indent_json(&body).context("error presenting blob")?)?;
            } else {
                app.console.write(&body)?;
            }
        }
        Ok(())
    })
}
