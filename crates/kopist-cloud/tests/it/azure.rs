//! Azure, on Azurite, which knows neither versions nor locks.

use kopist_testkit::servers::Azure;
use serde_json::json;

use crate::support::{MANY, conforms_but, failure, lists_many, make, opens_again};

#[test]
fn keeps_the_promises_of_stores() {
    let Some(server) = Azure::start("azure conformance") else { return };
    server.make_container("kcont");
    let left_out = ["locks work or are unsupported"];
    conforms_but("azureBlob", &left_out, |number| {
        server.config("kcont", &format!("case {number}/"))
    });
    opens_again(&*make("azureBlob", server.config("kcont", "")));
    lists_many(&*make("azureBlob", server.config("kcont", "many/")), MANY);
}

#[test]
fn shared_access_signatures_are_enough() {
    let Some(server) = Azure::start("azure signatures") else { return };
    server.make_container("kcont");
    let with = |token: &str| {
        let mut config = server.config("kcont", "sas/");
        config.as_object_mut().unwrap().remove("storageKey");
        config["sasToken"] = json!(token);
        config
    };
    let all = server.signature("rwdlac");
    opens_again(&*make("azureBlob", with(&all)));
    // As the portal shows it.
    opens_again(&*make("azureBlob", with(&format!("?{all}"))));
    let reading = server.signature("rl");
    let text = failure("azureBlob", with(&reading));
    assert!(text.contains("--sas-token") && text.contains("--container"), "{text}");
    assert!(!text.contains("--storage-key") && !text.contains("--tenant-id"), "{text}");
    let secret = reading.rsplit_once("sig=").unwrap().1;
    assert!(!text.contains(secret), "{text}");
    let text = failure("azureBlob", with(&all.replace("sig=", "sig=AAAA")));
    assert!(text.contains("--sas-token") && !text.contains("sig=AAAA"), "{text}");
}

#[test]
fn errors_name_what_to_change() {
    let Some(server) = Azure::start("azure errors") else { return };
    server.make_container("kcont");
    let text = failure("azureBlob", server.config("missing", ""));
    assert!(text.contains("--container"), "{text}");
    let mut config = server.config("kcont", "");
    config["storageKey"] = json!("aHVudGVyMg==");
    let text = failure("azureBlob", config.clone());
    assert!(text.contains("--storage-key") && !text.contains("aHVudGVyMg"), "{text}");
    config["storageKey"] = json!("no base64!");
    let text = failure("azureBlob", config.clone());
    assert!(text.contains("--storage-key is not base64"), "{text}");
    config["storageKey"] = json!("");
    let text = failure("azureBlob", config);
    assert!(text.contains("SAS token"), "{text}");
}
