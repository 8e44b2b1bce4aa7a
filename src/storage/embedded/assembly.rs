//! Puts the parts of an upload together: which parts, in which order, under which `ETag` and checksums.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use md5::{Digest as _, Md5};
use s3s::{
    S3Result,
    dto::{ChecksumType, CompletedPart},
    s3_error,
};

use super::{
    Result,
    answer::internal,
    promise::hasher_of,
    rows::{Checksums, Content, Part, Upload},
};

/// All parts but the last have at least this size, as in S3; clients count on the refusal.
const SMALLEST_PART: u64 = 5 << 20;

/// What is known about the whole before the parts are put together.
pub(super) struct Assembly {
    /// The checksums that the client gave: of the whole, or of the parts' checksums (`…-3`).
    pub promised: Checksums,
    /// The checksums of the whole that were promised, computed.
    pub whole: Checksums,
    /// The size that the client gave.
    pub size: Option<u64>,
}

impl Assembly {
    /// Returns the object that the parts make. The `ETag` is the MD5 of the parts' MD5s with their number.
    pub fn content(self, upload: Upload, parts: &[&Part]) -> Result<Content> {
        let size = parts.iter().map(|part| part.segment.size).sum();
        if self.size.is_some_and(|promised| promised != size) {
            return Err(s3_error!(InvalidRequest, "the parts together have {size} bytes").into());
        }
        let mut md5 = Md5::new();
        for part in parts {
            md5.update(hex::decode(&part.etag).map_err(|error| internal("read the MD5 of a part", &error))?);
        }
        let checksums = if self.whole.is_empty() { composite(parts) } else { self.whole };
        for (name, promised) in self.promised.iter() {
            if !checksums.iter().any(|(found_name, found)| found_name == name && found == promised) {
                return Err(s3_error!(BadDigest, "the {name} checksum is not that of the parts").into());
            }
        }
        Ok(Content {
            etag: format!("{}-{}", hex::encode(md5.finalize()), parts.len()),
            size,
            segments: parts.iter().map(|part| part.segment.clone()).collect(),
            headers: upload.headers,
            checksums,
        })
    }
}

/// Returns the parts that the client lists, each of which must be the one that is there.
pub(super) fn chosen_parts<'a>(listed: &[CompletedPart], stored: &'a [(u32, Part)]) -> S3Result<Vec<&'a Part>> {
    if listed.is_empty() {
        return Err(s3_error!(MalformedXML, "an upload is finished with at least one part"));
    }
    if !listed.windows(2).all(|pair| pair[0].part_number < pair[1].part_number) {
        return Err(s3_error!(InvalidPartOrder, "the parts are not in ascending order"));
    }
    let chosen = listed.iter().enumerate().map(|(place, listed_part)| {
        let number = listed_part.part_number.unwrap_or_default();
        let found = stored.iter().find(|(stored, _)| *stored as i32 == number).map(|(_, part)| part);
        let part = found.filter(|part| is_same(listed_part, part));
        let part = part.ok_or_else(|| s3_error!(InvalidPart, "part {number} is missing or another one"))?;
        if place + 1 < listed.len() && part.segment.size < SMALLEST_PART {
            return Err(s3_error!(EntityTooSmall, "part {number} is smaller than 5 MiB and not the last"));
        }
        Ok(part)
    });
    chosen.collect()
}

fn is_same(listed: &CompletedPart, stored: &Part) -> bool {
    let promised = Checksums {
        crc32: listed.checksum_crc32.clone(),
        crc32c: listed.checksum_crc32c.clone(),
        crc64nvme: listed.checksum_crc64nvme.clone(),
        sha1: listed.checksum_sha1.clone(),
        sha256: listed.checksum_sha256.clone(),
        kind: None,
    };
    let has_sum = |promise| stored.checksums.iter().any(|sum| sum == promise);
    listed.e_tag.as_ref().is_none_or(|etag| etag.value() == stored.etag) && promised.iter().all(has_sum)
}

/// Returns the checksums of the parts' checksums, of every algorithm that all parts have.
fn composite(parts: &[&Part]) -> Checksums {
    let sums_of = |name: &str| {
        let sum = |part: &&Part| {
            part.checksums.iter().find(|(found, _)| *found == name).map(|(_, sum)| BASE64.decode(sum).ok())
        };
        parts.iter().map(|part| sum(part).flatten()).collect::<Option<Vec<_>>>().map(|sums| sums.concat())
    };
    let of = |name: &'static str| {
        let mut hasher = hasher_of([name].into_iter());
        hasher.update(&sums_of(name)?);
        let sum = Checksums::from(hasher.finalize());
        sum.iter().next().map(|(_, sum)| format!("{sum}-{}", parts.len()))
    };
    // S3 knows no CRC64NVME of checksums.
    let mut sums = Checksums {
        crc32: of("crc32"),
        crc32c: of("crc32c"),
        sha1: of("sha1"),
        sha256: of("sha256"),
        ..Checksums::default()
    };
    if !sums.is_empty() {
        sums.kind = Some(ChecksumType::COMPOSITE.to_owned());
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::embedded::blobs::Segment;

    fn part(content: &[u8]) -> Part {
        let mut hasher = hasher_of(["sha256"].into_iter());
        hasher.update(content);
        Part {
            etag: hex::encode(Md5::digest(content)),
            segment: Segment { blob: "b".into(), size: content.len() as u64 },
            modified_ms: 0,
            checksums: hasher.finalize().into(),
        }
    }

    #[test]
    fn the_checksum_of_parts_is_that_of_their_checksums() {
        use sha2::Sha256;
        let (first, second) = (part(b"first"), part(b"second"));
        let sums = composite(&[&first, &second]);
        let together = [Sha256::digest(b"first"), Sha256::digest(b"second")].concat();
        assert_eq!(sums.sha256.unwrap(), format!("{}-2", BASE64.encode(Sha256::digest(together))));
        assert_eq!((sums.crc32, sums.kind.as_deref()), (None, Some("COMPOSITE")));
    }

    #[test]
    fn parts_without_checksums_have_none_together() {
        let bare = Part { checksums: Checksums::default(), ..part(b"x") };
        assert!(composite(&[&part(b"y"), &bare]).is_empty());
    }
}
