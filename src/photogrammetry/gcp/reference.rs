//! The ways in which tools write the name of a coordinate system.

use crate::spatial::Crs;

/// The coordinate system that a text names; `None` when it is none of the forms that tools write.
///
/// `EPSG:28992`, a URN, `WGS84 UTM 31N`, `+proj=utm …`, `CRS84`. Of a compound system (`EPSG:28992+5709`, EPSG:7415) it is
/// the horizontal part.
pub(super) fn crs_of(text: &str) -> Option<Crs> {
    let lower = text.trim().trim_matches('"').trim().to_ascii_lowercase();
    if lower.contains("crs84") || lower.contains("+proj=longlat") || lower == "wgs84" {
        return Some(Crs::WGS84);
    }
    if let Some((_, rest)) = lower.split_once("epsg:") {
        // A URN has a version, often empty, before the code: urn:ogc:def:crs:EPSG::28992.
        return code_of(rest.rsplit(':').next()?.trim());
    }
    if lower.contains("+proj=utm") {
        let zone = lower.split("+zone=").nth(1)?.split_whitespace().next()?.parse().ok()?;
        return utm(zone, lower.contains("+south"));
    }
    let zone = lower.strip_prefix("wgs84 utm ")?.trim();
    let south = zone.ends_with('s');
    utm(zone.trim_end_matches(['n', 's']).trim().parse().ok()?, south)
}

/// The system of a code by itself, as a column `epsg` has it, or of anything that [`crs_of`] reads.
pub(super) fn crs_of_field(text: &str) -> Option<Crs> {
    crs_of(text).or_else(|| text.trim().bytes().all(|b| b.is_ascii_digit()).then(|| code_of(text.trim()))?)
}

fn code_of(text: &str) -> Option<Crs> {
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    let code: u32 = digits.parse().ok()?;
    // RD New with NAP heights: the plan is RD New.
    Some(if code == 7415 { Crs::RD_NEW } else { Crs::from_epsg(code) })
}

fn utm(zone: u32, south: bool) -> Option<Crs> {
    (1..=60).contains(&zone).then(|| Crs::from_epsg(if south { 32_700 } else { 32_600 } + zone))
}
