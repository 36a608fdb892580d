//! XML as a tree of elements: enough for answers that are lists and errors. Prefixes of
//! namespaces are dropped.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;

/// How deep elements may lie in each other.
const DEPTH: usize = 64;

/// An element.
#[derive(Debug, Default)]
pub(crate) struct Element {
    name: String,
    text: String,
    children: Vec<Element>,
}

impl Element {
    /// Reads a document and returns its outermost element. Nothing may follow it: servers that
    /// fail in the middle of an answer close its elements, and then say so behind them.
    pub(crate) fn parse(document: &[u8]) -> Result<Self, String> {
        let document = std::str::from_utf8(document).map_err(|error| error.to_string())?;
        let mut reader = Reader::from_str(document.trim_start_matches('\u{feff}'));
        let mut open = vec![Self::default()];
        loop {
            let event = reader.read_event().map_err(|error| error.to_string())?;
            let Some(top) = open.last_mut() else { return Err("it ends too early".to_owned()) };
            match event {
                Event::Start(start) => {
                    if open.len() > DEPTH {
                        return Err("its elements lie too deep".to_owned());
                    }
                    open.push(Self::named(start.local_name().as_ref()));
                }
                Event::Empty(start) => top.children.push(Self::named(start.local_name().as_ref())),
                Event::End(_) => {
                    let done = open.pop().unwrap_or_default();
                    match open.last_mut() {
                        Some(parent) => parent.children.push(done),
                        None => return Err("it ends too early".to_owned()),
                    }
                }
                Event::Text(text) => top.text.push_str(&text.xml10_content()),
                Event::CData(text) => top.text.push_str(&text.xml10_content()),
                Event::GeneralRef(reference) => {
                    match reference.resolve_char_ref().map_err(|error| error.to_string())? {
                        Some(character) => top.text.push(character),
                        None => match resolve_predefined_entity(&reference.xml10_content()) {
                            Some(text) => top.text.push_str(text),
                            None => return Err("it has an unknown entity".to_owned()),
                        },
                    }
                }
                Event::Eof => break,
                _ => {}
            }
        }
        let (Some(mut outside), true) = (open.pop(), open.is_empty()) else {
            return Err("an element has no end".to_owned());
        };
        match (outside.children.pop(), outside.children.is_empty(), outside.text()) {
            (Some(root), true, "") => Ok(root),
            (None, _, "") => Err("it is empty".to_owned()),
            _ => Err("there is more in it than its elements".to_owned()),
        }
    }

    /// Reads a document whose outermost element has a certain name.
    pub(crate) fn parse_as(document: &[u8], fits: fn(&str) -> bool) -> Result<Self, String> {
        let root = Self::parse(document)?;
        if fits(root.name()) { Ok(root) } else { Err(format!("it is a {:?}", root.name())) }
    }

    fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// The name, without a prefix.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The text directly inside.
    pub(crate) fn text(&self) -> &str {
        self.text.trim()
    }

    /// The elements directly inside.
    pub(crate) fn children(&self) -> &[Self] {
        &self.children
    }

    /// The elements of this name directly inside.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first element of this name directly inside.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first element of this name directly inside; empty if there is none.
    pub(crate) fn value(&self, name: &str) -> &str {
        self.child(name).map_or("", Self::text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_become_trees() {
        let text = br#"<?xml version="1.0"?>
            <D:a xmlns:D="DAV:"><D:b>x &amp; y&#33;</D:b><b/><c><![CDATA[<z>]]></c></D:a>"#;
        let root = Element::parse(text).unwrap();
        assert_eq!((root.name(), root.children().len()), ("a", 3));
        assert_eq!(root.value("b"), "x & y!");
        assert_eq!(root.all("b").count(), 2);
        assert_eq!((root.value("c"), root.value("d")), ("<z>", ""));
    }

    #[test]
    fn broken_documents_are_errors() {
        for bad in [
            "",
            "text",
            "<a>",
            "<a/>text",
            "text<a/>",
            "<a/><b/>",
            "<a></b>",
            "<a>&unknown;</a>",
            &"<a>".repeat(100_000),
        ] {
            assert!(Element::parse(bad.as_bytes()).is_err(), "{}", &bad[..bad.len().min(20)]);
        }
        assert!(Element::parse(b"<a>\xff</a>").is_err());
    }
}
