/// What is asked of a bucket that knows its objects by keys.
pub(crate) struct Ask<'a> {
    pub(crate) method: &'static str,
    /// The object; empty means the bucket.
    pub(crate) key: &'a str,
    pub(crate) query: &'a [(&'a str, &'a str)],
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<&'a [&'a [u8]]>,
}

impl<'a> Ask<'a> {
    pub(crate) fn new(method: &'static str, key: &'a str) -> Self {
        Self { method, key, query: &[], headers: Vec::new(), body: None }
    }

    pub(crate) fn query(mut self, query: &'a [(&'a str, &'a str)]) -> Self {
        self.query = query;
        self
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn body(mut self, body: &'a [&'a [u8]]) -> Self {
        self.body = Some(body);
        self
    }
}
