//! How wide the buckets of a histogram are, and where they end.

use crate::database::Groups;

/// A bucket, from its lower end and up to but without its upper one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Range {
    pub from: f64,
    pub to: f64,
    pub frequency: i64,
}

/// Chooses a width that a person would: 1, 2 or 5 times a power of ten, such that about so many buckets cover a range.
/// Whole numbers get a whole width.
pub(super) fn width(range: Option<(f64, f64)>, buckets: usize, whole: bool) -> f64 {
    let (least, greatest) = range.unwrap_or((0.0, 0.0));
    let wanted = (greatest - least) / buckets as f64;
    // One value alone, or a range beyond all doubles: the size of the numbers says what is small.
    let wanted = if wanted > 0.0 && wanted.is_finite() { wanted } else { greatest.abs() / buckets as f64 };
    if wanted <= 1e-12 || (whole && wanted <= 1.0) {
        return if wanted == 0.0 || whole { 1.0 } else { 1e-12 };
    }
    let power = wanted.log10().floor() as i32;
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| times_power_of_ten(step, power));
    steps.into_iter().find(|step| *step >= wanted).unwrap_or(steps[3])
}

/// Written and read, so that 5 times 10⁻² is the double nearest to 0.05.
fn times_power_of_ten(factor: f64, power: i32) -> f64 {
    format!("{factor}e{power}").parse().unwrap_or(f64::MAX)
}

/// Makes buckets of groups whose keys are lower ends, in order; empty ones between them are added unless that would
/// be more than `most` buckets.
pub(super) fn ranges(groups: &Groups, width: f64, most: usize) -> Vec<Range> {
    let decimals = width.to_string().split_once('.').map_or(0, |(_, decimals)| decimals.len());
    // Nought has no sign.
    let rounded = |number: f64| format!("{number:.decimals$}").parse().unwrap_or(number) + 0.0;
    let range = |from: f64, frequency| Range { from, to: rounded(from + width), frequency };
    let mut found: Vec<Range> =
        groups.groups.iter().filter_map(|(key, n)| Some(range(key.parse().ok()?, *n))).collect();
    found.sort_by(|a, b| a.from.total_cmp(&b.from));
    let (Some(first), Some(last)) = (found.first(), found.last()) else { return found };
    let number = |from: f64| (from / width).round();
    let (start, count) = (number(first.from), number(last.from) - number(first.from) + 1.0);
    if !(1.0..=most as f64).contains(&count) || found.len() == most {
        return found;
    }
    let mut all: Vec<Range> = (0..count as usize).map(|i| range(rounded((start + i as f64) * width), 0)).collect();
    for bucket in found {
        if let Some(place) = all.get_mut((number(bucket.from) - start) as usize) {
            *place = bucket;
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_width_is_round_and_fits() {
        assert_eq!(width(Some((0.0, 100.0)), 20, false), 5.0);
        assert_eq!(width(Some((0.0, 100.0)), 20, true), 5.0);
        assert_eq!(width(Some((3.0, 9.0)), 20, true), 1.0);
        assert_eq!(width(Some((0.01, 0.06)), 10, false), 0.005);
        assert_eq!(width(Some((-1e6, 1e6)), 20, false), 100_000.0);
        assert_eq!(width(None, 20, false), 1.0);
        assert_eq!(width(Some((0.02, 0.02)), 20, false), 0.001);
        for (least, greatest) in [(f64::MIN, f64::MAX), (0.0, f64::MIN_POSITIVE), (1e300, 1e300), (0.0, 1e-320)] {
            let width = width(Some((least, greatest)), 20, false);
            assert!(width > 0.0 && width.is_finite(), "{width}");
        }
    }

    #[test]
    fn buckets_end_where_the_next_begins_and_gaps_are_filled() {
        let keys = [("0.3", 1), ("0.05", 2), ("-0.05", 3)];
        let groups = Groups { groups: keys.map(|(key, n)| (key.to_owned(), n)).to_vec(), overflow: 0 };
        let all = ranges(&groups, 0.05, 100);
        assert_eq!(all.len(), 8);
        assert!(all.windows(2).all(|pair| pair[0].to == pair[1].from), "{all:?}");
        assert_eq!((all[2].from, all[2].to, all[2].frequency), (0.05, 0.1, 2));
        assert_eq!(ranges(&groups, 0.05, 5).len(), 3);
    }
}
