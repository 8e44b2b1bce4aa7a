//! What a client promises about a body: its MD5, its checksums, before the body or after it.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use http::HeaderMap;
use s3s::{S3Result, TrailingHeaders, checksum::ChecksumHasher, crypto::Checksum as _, dto::Checksum, s3_error};

use super::{blobs::Written, rows::Checksums};

/// The header that names the checksums that follow a chunked body.
const TRAILER: &str = "x-amz-trailer";

/// How headers and trailers with checksums begin.
const PREFIX: &str = "x-amz-checksum-";

/// What a client promised.
pub(super) struct Promise {
    md5: Option<Vec<u8>>,
    checksums: Checksums,
    /// The names of the algorithms whose checksums follow the body.
    announced: Vec<String>,
    trailers: Option<TrailingHeaders>,
}

impl Promise {
    /// Collects the promises of a request.
    pub fn new(
        md5: Option<&str>,
        checksum: Checksum,
        headers: &HeaderMap,
        trailers: Option<TrailingHeaders>,
    ) -> S3Result<Self> {
        let md5 = md5.map(|md5| BASE64.decode(md5).ok().filter(|md5| md5.len() == 16));
        let md5 = md5.map(|md5| md5.ok_or_else(|| s3_error!(InvalidDigest, "Content-MD5 is no MD5"))).transpose()?;
        let announced = headers.get_all(TRAILER).iter().filter_map(|value| value.to_str().ok());
        let announced = announced.flat_map(|value| value.split(','));
        let announced = announced.filter_map(|name| name.trim().strip_prefix(PREFIX).map(str::to_owned)).collect();
        Ok(Self { md5, checksums: checksum.into(), announced, trailers })
    }

    /// Returns a hasher that computes what was promised.
    pub fn hasher(&self) -> ChecksumHasher {
        let promised = self.checksums.iter().map(|(name, _)| name);
        hasher_of(promised.chain(self.announced.iter().map(String::as_str)))
    }

    /// Compares what came with what was promised, and returns the checksums that are now known to be right.
    pub fn check(self, written: &Written) -> S3Result<Checksums> {
        if self.md5.is_some_and(|md5| md5 != written.md5) {
            return Err(s3_error!(BadDigest, "the Content-MD5 is not that of the body"));
        }
        let found = Checksums::from(written.checksum.clone());
        let followed = self.trailers.and_then(|trailers| trailers.take()).unwrap_or_default();
        let followed = followed.iter().filter_map(|(name, value)| {
            Some((name.as_str().strip_prefix(PREFIX)?.to_owned(), value.to_str().ok()?.to_owned()))
        });
        let before = self.checksums.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        for (name, promised) in before.chain(followed) {
            if !found.iter().any(|(found_name, found)| found_name == name && found == promised) {
                return Err(s3_error!(BadDigest, "the {name} checksum is not that of the body"));
            }
        }
        Ok(found)
    }
}

/// Returns a hasher for algorithms by their names in headers; unknown names are left out.
pub(super) fn hasher_of<'a>(names: impl Iterator<Item = &'a str>) -> ChecksumHasher {
    let mut hasher = ChecksumHasher::default();
    for name in names {
        match name {
            "crc32" => hasher.crc32 = Some(s3s::crypto::Crc32::new()),
            "crc32c" => hasher.crc32c = Some(s3s::crypto::Crc32c::new()),
            "crc64nvme" => hasher.crc64nvme = Some(s3s::crypto::Crc64Nvme::new()),
            "sha1" => hasher.sha1 = Some(s3s::crypto::Sha1::new()),
            "sha256" => hasher.sha256 = Some(s3s::crypto::Sha256::new()),
            _ => {}
        }
    }
    hasher
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_an_md5_that_is_none() {
        for md5 in ["?", "YQ=="] {
            assert!(Promise::new(Some(md5), Checksum::default(), &HeaderMap::new(), None).is_err());
        }
    }

    #[test]
    fn computes_what_will_follow_the_body() {
        let mut headers = HeaderMap::new();
        headers.insert(TRAILER, "x-amz-checksum-crc32c, x-amz-checksum-sha256".parse().unwrap());
        let hasher = Promise::new(None, Checksum::default(), &headers, None).unwrap().hasher();
        assert!(hasher.crc32c.is_some() && hasher.sha256.is_some() && hasher.crc32.is_none());
    }
}
