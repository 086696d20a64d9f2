//! Whole files, damaged files, and files that are something else.

use super::*;
use ::png::{BitDepth, ColorType, Encoder};
use proptest::prelude::*;

/// A smooth pattern of 24 × 16 pixels in colour.
const JPEG: &[u8] = include_bytes!("test-24x16.jpg");

fn png(levels: &[u8], width: u32, height: u32, colour: ColorType, depth: BitDepth) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, width, height);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    encoder
        .write_header()
        .unwrap()
        .write_image_data(levels)
        .unwrap();
    bytes
}

fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u16 + 2).to_be_bytes();
    [&[0xff, marker][..], &length, content].concat()
}

fn insert(jpeg: &[u8], segment: &[u8]) -> Vec<u8> {
    [&jpeg[..2], segment, &jpeg[2..]].concat()
}

fn reason(bytes: &[u8]) -> String {
    decode_image("f.jpg", bytes, Channels::Rgb)
        .unwrap_err()
        .to_string()
}

#[test]
fn png_levels_are_exact_in_every_colour_type() {
    let decode = |bytes: &[u8], channels| decode_image("f", bytes, channels).unwrap();
    let rgb = png(
        &[1, 2, 3, 200, 100, 0],
        2,
        1,
        ColorType::Rgb,
        BitDepth::Eight,
    );
    assert_eq!(
        decode(&rgb, Channels::Rgb),
        (vec![1, 2, 3, 200, 100, 0], [1, 2, 3])
    );
    // Pillow: Image.new("RGB", (2, 1)) with these values, convert("L").
    assert_eq!(decode(&rgb, Channels::Grey), (vec![2, 118], [1, 2, 1]));
    let grey = png(&[7, 9], 1, 2, ColorType::Grayscale, BitDepth::Eight);
    assert_eq!(decode(&grey, Channels::Grey), (vec![7, 9], [2, 1, 1]));
    assert_eq!(decode(&grey, Channels::Rgb).0, [7, 7, 7, 9, 9, 9]);
    let alpha = png(&[1, 2, 3, 0], 1, 1, ColorType::Rgba, BitDepth::Eight);
    assert_eq!(decode(&alpha, Channels::Rgb).0, [1, 2, 3]);
    let both = png(&[5, 128], 1, 1, ColorType::GrayscaleAlpha, BitDepth::Eight);
    assert_eq!(
        (
            decode(&both, Channels::Rgb).0,
            decode(&both, Channels::Grey).0
        ),
        (vec![5, 5, 5], vec![5])
    );
    let bits = png(&[0b1010_0000], 4, 1, ColorType::Grayscale, BitDepth::One);
    assert_eq!(decode(&bits, Channels::Grey).0, [255, 0, 255, 0]);
    let deep = png(&[200, 7], 1, 1, ColorType::Grayscale, BitDepth::Sixteen);
    assert_eq!(decode(&deep, Channels::Grey).0, [200]);
}

#[test]
fn a_jpeg_agrees_with_libjpeg() {
    let (levels, shape) = decode_image("f", JPEG, Channels::Rgb).unwrap();
    assert_eq!(shape, [16, 24, 3]);
    let (grey, shape) = decode_image("f", JPEG, Channels::Grey).unwrap();
    assert_eq!(shape, [16, 24, 1]);
    // From Pillow with libjpeg-turbo; decoders may round by one or two levels.
    for (at, expected) in LIBJPEG_RGB {
        for (level, expected) in levels[at * 3..].iter().zip(expected) {
            assert!(level.abs_diff(expected) <= 3, "{at}: {level} {expected}");
        }
    }
    for (at, expected) in LIBJPEG_GREY {
        assert!(
            grey[at].abs_diff(expected) <= 2,
            "{at}: {} {expected}",
            grey[at]
        );
    }
}

// Pixel number, and its value by Pillow.
const LIBJPEG_RGB: [(usize, [u8; 3]); 12] = [
    (32, [246, 241, 53]),
    (48, [131, 231, 11]),
    (60, [209, 232, 82]),
    (68, [37, 233, 131]),
    (107, [222, 191, 85]),
    (130, [237, 165, 89]),
    (194, [172, 77, 55]),
    (230, [165, 53, 127]),
    (241, [149, 29, 56]),
    (253, [188, 30, 127]),
    (291, [195, 9, 80]),
    (333, [24, 4, 187]),
];
const LIBJPEG_GREY: [(usize, u8); 12] = [
    (32, 221),
    (48, 176),
    (60, 208),
    (68, 163),
    (107, 188),
    (130, 178),
    (194, 103),
    (230, 95),
    (241, 68),
    (253, 88),
    (291, 73),
    (333, 31),
];

#[test]
fn every_truncation_is_an_error() {
    let png = png(&[9; 300], 10, 10, ColorType::Rgb, BitDepth::Eight);
    for end in 0..JPEG.len() {
        assert!(
            decode_image("f", &JPEG[..end], Channels::Rgb).is_err(),
            "{end}"
        );
    }
    // The last chunk holds nothing.
    for end in 0..png.len() - 12 {
        assert!(
            decode_image("f", &png[..end], Channels::Rgb).is_err(),
            "{end}"
        );
    }
    assert!(reason(&JPEG[..JPEG.len() / 2]).contains("without its end marker"));
}

#[test]
fn the_end_of_a_thumbnail_is_not_the_end_of_the_image() {
    let with = insert(JPEG, &segment(0xe1, JPEG));
    assert!(jpeg::has_end(&with) && !jpeg::has_end(&with[..with.len() - 2]));
    assert_eq!(
        decode_image("f", &with, Channels::Rgb).unwrap(),
        decode_image("f", JPEG, Channels::Rgb).unwrap()
    );
}

#[test]
fn the_orientation_of_the_camera_is_applied() {
    let exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let (turned, shape) =
        decode_image("f", &insert(JPEG, &segment(0xe1, exif)), Channels::Rgb).unwrap();
    assert_eq!(shape, [24, 16, 3]);
    let (plain, _) = decode_image("f", JPEG, Channels::Rgb).unwrap();
    // Clockwise: the left lower corner becomes the left upper one.
    assert_eq!(turned[..3], plain[15 * 24 * 3..][..3]);
}

#[test]
fn other_content_is_named() {
    assert!(reason(b"hello, this is text").contains("f.jpg: the content is neither JPEG nor PNG"));
    assert!(reason(b"").contains("neither JPEG nor PNG"));
}

#[test]
fn an_image_above_the_limit_is_refused_before_decoding() {
    assert!(check_size(1 << 14, 1 << 14, 3).is_err() && check_size(usize::MAX, 2, 3).is_err());
    assert!(check_size(0, 5, 3).is_err() && check_size(4000, 6000, 3).is_ok());
    let mut bytes = JPEG.to_vec();
    let frame = bytes
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap();
    bytes[frame + 5..frame + 9].fill(0xff);
    assert!(
        reason(&bytes).contains("claims 65535x65535 pixels"),
        "{}",
        reason(&bytes)
    );
}

proptest! {
    #[test]
    fn damaged_images_never_panic(at in 0_usize..4000, value: u8, cut in 0_usize..4000) {
        for mut bytes in [JPEG.to_vec(), png(&[5; 300], 10, 10, ColorType::Rgb, BitDepth::Eight)] {
            let at = at % bytes.len();
            bytes[at] = value;
            let _ = decode_image("f", &bytes, Channels::Rgb);
            bytes.truncate(cut);
            let _ = decode_image("f", &bytes, Channels::Grey);
        }
    }
}
