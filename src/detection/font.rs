//! A small alphabet of dots for the labels on annotated pictures.
//!
//! `font.txt` is a picture of it: printable ASCII from the space on, sixteen glyphs a row, each five dots wide
//! and seven high. The last one, a full block, stands for whatever the alphabet lacks.

/// Width and height of a glyph, in dots.
pub(super) const GLYPH: [usize; 2] = [5, 7];

/// Distance from one glyph to the next, in dots.
pub(super) const ADVANCE: usize = GLYPH[0] + 1;

const PICTURE: &str = include_str!("font.txt");
const GLYPHS_PER_ROW: usize = 16;

/// Tells whether a glyph has ink at column `x` and row `y`.
pub(super) fn has_ink(letter: char, [x, y]: [usize; 2]) -> bool {
    let number = plain(letter) as usize - ' ' as usize;
    let line = number / GLYPHS_PER_ROW * (GLYPH[1] + 1) + y;
    let column = number % GLYPHS_PER_ROW * ADVANCE + x;
    PICTURE.lines().nth(line).and_then(|line| line.as_bytes().get(column)).is_some_and(|&dot| dot == b'#')
}

/// Returns the ASCII letter to draw: accents fall off, anything else that is unknown becomes the block.
fn plain(letter: char) -> char {
    match letter {
        ' '..='~' => letter,
        'à'..='å' => 'a',
        'ç' => 'c',
        'è'..='ë' => 'e',
        'ì'..='ï' => 'i',
        'ñ' => 'n',
        'ò'..='ö' | 'ø' => 'o',
        'ù'..='ü' => 'u',
        'À'..='Å' => 'A',
        'È'..='Ë' => 'E',
        'Ò'..='Ö' => 'O',
        'Ù'..='Ü' => 'U',
        _ => '\u{7f}',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(letter: char) -> Vec<String> {
        let row = |y| (0..GLYPH[0]).map(|x| if has_ink(letter, [x, y]) { '#' } else { '.' }).collect();
        (0..GLYPH[1]).map(row).collect()
    }

    #[test]
    fn letters_are_found_in_the_picture() {
        assert_eq!(drawn('L'), ["#....", "#....", "#....", "#....", "#....", "#....", "#####"]);
        assert_eq!(drawn(' ').concat().matches('#').count(), 0);
        assert_eq!(drawn('é'), drawn('e'));
        assert_eq!(drawn('漢').concat().matches('#').count(), 35);
    }

    #[test]
    fn no_two_letters_look_the_same() {
        let mut all: Vec<_> = (' '..='~').map(drawn).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 95);
    }
}
