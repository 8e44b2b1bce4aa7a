//! Which store a bucket lives in, in the words of the storage extension v2.0.0.

use serde_json::{Value, json};

/// The store that holds polder's buckets, as an outsider reaches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageScheme {
    /// The endpoint for outsiders, as `https://s3.example.org`; `None` is AWS itself.
    pub endpoint: Option<String>,
    pub region: String,
    /// Whether the bucket stands in the path of a URL and not in its host.
    pub path_style: bool,
}

impl StorageScheme {
    /// Returns the scheme object of one bucket. Its name in `storage:schemes` and `storage:refs` is the bucket's.
    pub fn of_bucket(&self, bucket: &str) -> Value {
        let Some(endpoint) = self.endpoint.as_deref().map(|url| url.trim_end_matches('/')) else {
            return json!({
                "type": "aws-s3",
                "platform": "https://{bucket}.s3.{region}.amazonaws.com",
                "bucket": bucket,
                "region": self.region,
            });
        };
        let platform = match endpoint.split_once("://") {
            Some((protocol, host)) if !self.path_style => format!("{protocol}://{{bucket}}.{host}"),
            _ => format!("{endpoint}/{{bucket}}"),
        };
        json!({ "type": "custom-s3", "platform": platform, "bucket": bucket, "region": self.region })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_becomes_a_template() {
        let mut scheme =
            StorageScheme { endpoint: Some("http://127.0.0.1:9000/".into()), region: "local".into(), path_style: true };
        assert_eq!(scheme.of_bucket("b")["platform"], "http://127.0.0.1:9000/{bucket}");
        scheme.path_style = false;
        assert_eq!(scheme.of_bucket("b")["platform"], "http://{bucket}.127.0.0.1:9000");
        scheme.endpoint = None;
        assert_eq!(scheme.of_bucket("b")["type"], "aws-s3");
    }
}
