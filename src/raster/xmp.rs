//! The XMP packet of a drone photo: a handful of numbers in the `drone-dji` namespace.
//!
//! DJI writes them as attributes of `rdf:Description`; other firmware and editors write elements. Both are read.

use std::collections::HashMap;

use quick_xml::{Reader, events::Event};

/// Values by local name, `GimbalYawDegree`, without their namespace.
#[derive(Debug, Default)]
pub(super) struct Xmp(HashMap<String, String>);

impl Xmp {
    /// Finds and reads the packet in a file's bytes; without a packet the result is empty.
    pub(super) fn find(bytes: &[u8]) -> Self {
        let start = position(bytes, b"<x:xmpmeta");
        let packet = start.and_then(|s| position(&bytes[s..], b"</x:xmpmeta>").map(|e| &bytes[s..s + e + 12]));
        packet.map(|packet| Self::parse(&String::from_utf8_lossy(packet))).unwrap_or_default()
    }

    fn parse(packet: &str) -> Self {
        let mut values = HashMap::new();
        let mut reader = Reader::from_str(packet);
        let mut element = String::new();
        // A damaged packet keeps what was read before the damage.
        while let Ok(event) = reader.read_event() {
            match event {
                Event::Start(tag) | Event::Empty(tag) => {
                    tag.local_name().as_ref().clone_into(&mut element);
                    for attribute in tag.attributes().flatten() {
                        let name = attribute.key.local_name().as_ref().to_owned();
                        values.insert(name, attribute.value.trim().to_owned());
                    }
                }
                Event::Text(text) if !text.trim().is_empty() => {
                    values.entry(element.clone()).or_insert_with(|| text.trim().to_owned());
                }
                Event::Eof => break,
                _ => {}
            }
        }
        Self(values)
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Returns a number; DJI writes a leading `+`.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        self.text(name)?.trim_start_matches('+').parse().ok().filter(|value: &f64| value.is_finite())
    }
}

fn position(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_and_elements_are_read_alike() {
        let attributes = br#"junk<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description drone-dji:RelativeAltitude="+40.10"/></x:xmpmeta>"#;
        let elements = br"<x:xmpmeta><rdf:Description><drone-dji:RelativeAltitude>+40.10</drone-dji:RelativeAltitude></rdf:Description></x:xmpmeta>";
        for packet in [&attributes[..], &elements[..]] {
            assert_eq!(Xmp::find(packet).number("RelativeAltitude"), Some(40.1));
        }
    }

    #[test]
    fn a_file_without_a_packet_has_no_values() {
        assert_eq!(Xmp::find(b"\xff\xd8\xff").number("RelativeAltitude"), None);
    }
}
