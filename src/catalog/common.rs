//! The fields that items, assets and bands may all have: the common metadata of STAC 1.1.

use super::{
    fault::{Faults, Place},
    parse_time,
    shapes::{check_filled, check_texts, each_object},
    tree::{Object, Tree},
};

const DATA_TYPES: [&str; 16] = [
    "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64",
    "cint16", "cint32", "cfloat32", "cfloat64", "other",
];

/// Checks each field of the common metadata that is there. Fields of extensions may be anything.
pub(super) fn check_common(object: &Object, at: &Place, faults: &mut Faults) {
    for (name, value) in object.iter() {
        let at = at.member(name);
        let text = value.text();
        match name {
            "title" | "platform" | "constellation" | "mission" | "unit" => {
                faults.expect(text.is_some(), &at, "must be a string");
            }
            "description" | "license" => check_filled(Some(value), &at, faults),
            "keywords" | "roles" | "instruments" => {
                let texts = value.is_list_of(|word| word.text().is_some());
                faults.expect(texts, &at, "must be a list of strings");
            }
            "created" | "updated" => {
                let time = text.is_some_and(|text| parse_time(text).is_ok());
                faults.expect(time, &at, "must be a time as RFC 3339 writes it");
            }
            "gsd" => faults.expect(value.number().is_some_and(|metres| metres > 0.0), &at, "must be a number above 0"),
            "providers" => each_object(value, &at, faults, check_provider),
            "bands" => each_object(value, &at, faults, check_band),
            "data_type" => {
                let known = text.is_some_and(|text| DATA_TYPES.contains(&text));
                faults.expect(known, &at, "must be a data type of STAC, as \"uint8\" or \"other\"");
            }
            "nodata" => {
                let fine = value.number().is_some() || text.is_some_and(|text| matches!(text, "nan" | "inf" | "-inf"));
                faults.expect(fine, &at, "must be a number, \"nan\", \"inf\" or \"-inf\"");
            }
            "statistics" => check_statistics(value, &at, faults),
            _ => {}
        }
    }
}

fn check_provider(provider: &Object, at: &Place, faults: &mut Faults) {
    check_filled(provider.get("name"), &at.member("name"), faults);
    check_common(provider, at, faults);
    check_texts(provider, &["url"], at, faults);
}

fn check_band(band: &Object, at: &Place, faults: &mut Faults) {
    check_texts(band, &["name"], at, faults);
    check_common(band, at, faults);
}

fn check_statistics(value: &Tree, at: &Place, faults: &mut Faults) {
    let Some(statistics) = value.object() else { return faults.add(at, "must be an object") };
    for (name, value) in statistics.iter() {
        if matches!(name, "minimum" | "maximum" | "mean" | "stddev" | "count" | "valid_percent") {
            faults.expect(value.number().is_some(), &at.member(name), "must be a number");
        }
    }
}
