use jiff::Timestamp;
use percent_encoding::percent_decode_str;

use crate::http::parse_http_date;
use crate::stores::sharded::Stat;
use crate::xml::Element;

/// The properties that we ask for.
pub(super) const QUESTION: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\
    <propfind xmlns=\"DAV:\"><prop><resourcetype/><getcontentlength/><getlastmodified/>\
    </prop></propfind>";

/// What a server tells of one file or collection.
#[derive(Debug)]
pub(super) struct Resource {
    /// The path, decoded, without a `/` at its end.
    pub(super) path: String,
    /// Of a file; a collection has none.
    pub(super) file: Option<Stat>,
}

/// Reads the answer to a PROPFIND. What the server could not tell is an error, so that no file
/// seems to be missing.
pub(super) fn parse(body: &[u8]) -> Result<Vec<Resource>, String> {
    let root = Element::parse_as(body, |name| name == "multistatus")?;
    let mut found = Vec::new();
    for response in root.all("response") {
        // Most responses have a status for each property instead.
        match response.value("status").split(' ').nth(1) {
            None => found.push(resource(response)?),
            Some(code) if code.starts_with('2') => found.push(resource(response)?),
            // It was removed meanwhile.
            Some("404" | "410") => {}
            Some(code) => return Err(format!("{} has status {code}", response.value("href"))),
        }
    }
    Ok(found)
}

/// The first status of failure in the answer to a request that changes something: its code, and
/// what to say of it.
pub(super) fn failure(body: &[u8]) -> Option<(u16, String)> {
    let root = Element::parse_as(body, |name| name == "multistatus").ok()?;
    root.all("response").find_map(|response| {
        let status = response.value("status");
        let (_, status) = status.split_once(' ')?;
        let code: u16 = status.split(' ').next()?.parse().ok()?;
        (code >= 300).then(|| (code, format!("{status} for {}", response.value("href"))))
    })
}

fn resource(response: &Element) -> Result<Resource, String> {
    let href = response.value("href");
    // Either an absolute URL or only its path.
    let path = match href.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
        None => href,
    };
    let path = percent_decode_str(path).decode_utf8().map_err(|_| format!("the path {href:?}"))?;
    let path = path.trim_end_matches('/').to_owned();
    let found = response
        .all("propstat")
        .filter(|part| part.value("status").split(' ').nth(1).is_none_or(|code| code == "200"))
        .filter_map(|part| part.child("prop"));
    let mut is_collection = href.ends_with('/');
    let mut length = None;
    let mut time = None;
    for prop in found {
        if let Some(kind) = prop.child("resourcetype") {
            is_collection = kind.child("collection").is_some();
        }
        length = length.or_else(|| prop.value("getcontentlength").parse().ok());
        time = time.or_else(|| parse_http_date(prop.value("getlastmodified")));
    }
    if is_collection {
        return Ok(Resource { path, file: None });
    }
    let length = length.ok_or_else(|| format!("{href} has no length"))?;
    // As kopia: a server that tells no time keeps blobs from nobody knows when.
    let time = time.unwrap_or(Timestamp::UNIX_EPOCH);
    Ok(Resource { path, file: Some(Stat { length, time }) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_answer_is_understood() {
        let body = br#"<?xml version="1.0" encoding="utf-8"?>
            <D:multistatus xmlns:D="DAV:" xmlns:ns0="DAV:">
            <D:response xmlns:lp1="DAV:"><D:href>/dav/p%20q/</D:href><D:propstat><D:prop>
            <lp1:resourcetype><D:collection/></lp1:resourcetype>
            <lp1:getlastmodified>Sat, 21 Nov 2026 10:23:47 GMT</lp1:getlastmodified>
            </D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>
            <D:propstat><D:prop><D:getcontentlength/></D:prop>
            <D:status>HTTP/1.1 404 Not Found</D:status></D:propstat></D:response>
            <D:response><D:href>http://h:1/dav/p%20q/a.f</D:href><D:propstat><D:prop>
            <D:resourcetype/><D:getcontentlength>12</D:getcontentlength>
            <D:getlastmodified>Sat, 21 Nov 2026 10:23:47 GMT</D:getlastmodified>
            </D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>
            </D:multistatus>"#;
        let found = parse(body).unwrap();
        assert_eq!((found[0].path.as_str(), found[0].file.is_none()), ("/dav/p q", true));
        assert_eq!(found[1].path, "/dav/p q/a.f");
        assert_eq!(found[1].file.unwrap().length, 12);
        assert!(parse(b"<html/>").is_err());
    }

    #[test]
    fn what_failed_is_found() {
        let body = br#"<D:multistatus xmlns:D="DAV:">
            <D:response><D:href>/d/a</D:href><D:status>HTTP/1.1 204 No Content</D:status></D:response>
            <D:response><D:href>/d/b</D:href><D:status>HTTP/1.1 423 Locked</D:status></D:response>
            </D:multistatus>"#;
        assert_eq!(failure(body), Some((423, "423 Locked for /d/b".to_owned())));
        assert_eq!(failure(b"no XML"), None);
    }

    /// As rclone answers when it cannot list a folder of its remote.
    #[test]
    fn listings_that_break_off_are_errors() {
        let whole = r#"<D:multistatus xmlns:D="DAV:"><D:response><D:href>/</D:href><D:propstat>
            <D:prop><D:resourcetype><D:collection/></D:resourcetype></D:prop>
            <D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response></D:multistatus>"#;
        assert_eq!(parse(whole.as_bytes()).unwrap().len(), 1);
        let error = parse(format!("{whole}Internal Server Error").as_bytes()).unwrap_err();
        assert!(error.contains("more in it"), "{error}");
        let part = |status: &str| {
            let part = format!(
                "<D:response><D:href>/p</D:href><D:status>HTTP/1.1 {status}\
                </D:status></D:response></D:multistatus>"
            );
            parse(whole.replace("</D:multistatus>", &part).as_bytes())
        };
        assert_eq!(part("404 Not Found").unwrap().len(), 1, "it is gone");
        assert!(part("500 Internal Server Error").unwrap_err().contains("/p has status 500"));
    }
}
