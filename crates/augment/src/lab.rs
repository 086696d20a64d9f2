//! CIE L*a*b* of bytes, as OpenCV computes it.

use std::sync::LazyLock;

const GAMMA_SHIFT: u32 = 3;
const LAB_SHIFT: u32 = 12;
/// Bits after the point of the cube roots.
const ROOT_SHIFT: u32 = LAB_SHIFT + GAMMA_SHIFT;

/// From linear sRGB to XYZ.
const TO_XYZ: [[f64; 3]; 3] = [
    [0.412_453, 0.357_580, 0.180_423],
    [0.212_671, 0.715_160, 0.072_169],
    [0.019_334, 0.119_193, 0.950_227],
];

/// From XYZ to linear sRGB.
const FROM_XYZ: [[f64; 3]; 3] = [
    [3.240_479, -1.537_150, -0.498_535],
    [-0.969_256, 1.875_991, 0.041_556],
    [0.055_648, -0.204_043, 1.057_311],
];

/// White, D65.
const WHITE: [f64; 3] = [0.950_456, 1.0, 1.088_754];

struct Tables {
    /// Linear light of a byte.
    linear: [i32; 256],
    /// The cube root of an amount of light, linear near black.
    root: Vec<i32>,
    /// Rows of [`TO_XYZ`] over white.
    xyz: [[i32; 3]; 3],
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let unit = 255.0 * f64::from(1 << GAMMA_SHIFT);
    let linear = |byte: usize| {
        let x = byte as f64 / 255.0;
        let light = if x <= 0.04045 {
            x / 12.92
        } else {
            ((x + 0.055) / 1.055).powf(2.4)
        };
        (unit * light).round_ties_even() as i32
    };
    let root = |i: usize| {
        let x = i as f64 / unit;
        let root = if x < 216.0 / 24389.0 {
            x * (841.0 / 108.0) + 16.0 / 116.0
        } else {
            x.cbrt()
        };
        (f64::from(1 << ROOT_SHIFT) * root).round_ties_even() as i32
    };
    Tables {
        linear: std::array::from_fn(linear),
        root: (0..(256 * 3 / 2) << GAMMA_SHIFT).map(root).collect(),
        xyz: std::array::from_fn(|i| {
            TO_XYZ[i].map(|v| (v / WHITE[i] * f64::from(1 << LAB_SHIFT)).round_ties_even() as i32)
        }),
    }
});

const fn descale(value: i32, bits: u32) -> i32 {
    (value + (1 << (bits - 1))) >> bits
}

/// L, a and b as bytes: L over 100 times 255, a and b plus 128.
pub(crate) fn rgb_to_lab(rgb: [u8; 3]) -> [u8; 3] {
    let tables = &*TABLES;
    let light = rgb.map(|c| tables.linear[usize::from(c)]);
    let [fx, fy, fz] = tables.xyz.map(|row| {
        let sum: i32 = row.iter().zip(light).map(|(c, v)| c * v).sum();
        tables.root[descale(sum, LAB_SHIFT) as usize]
    });
    const SCALE: i32 = (116 * 255 + 50) / 100;
    const SHIFT: i32 = -((16 * 255 * (1 << ROOT_SHIFT) + 50) / 100);
    let middle = 128 << ROOT_SHIFT;
    [
        descale(SCALE * fy + SHIFT, ROOT_SHIFT),
        descale(500 * (fx - fy) + middle, ROOT_SHIFT),
        descale(200 * (fy - fz) + middle, ROOT_SHIFT),
    ]
    .map(|v| v.clamp(0, 255) as u8)
}

/// The colour of an L, a and b; what is no colour is clipped.
pub(crate) fn lab_to_rgb([l, a, b]: [u8; 3]) -> [u8; 3] {
    let l = f64::from(l) * (100.0 / 255.0);
    let fy = (l + 16.0) / 116.0;
    let fx = fy + (f64::from(a) - 128.0) / 500.0;
    let fz = fy - (f64::from(b) - 128.0) / 200.0;
    let cube = |f: f64| {
        if f <= 6.0 / 29.0 {
            (f - 16.0 / 116.0) * (108.0 / 841.0)
        } else {
            f * f * f
        }
    };
    let xyz = [cube(fx) * WHITE[0], cube(fy), cube(fz) * WHITE[2]];
    FROM_XYZ.map(|row| {
        let light: f64 = row.iter().zip(xyz).map(|(c, v)| c * v).sum();
        let light = light.clamp(0.0, 1.0);
        let value = if light <= 0.003_130_8 {
            light * 12.92
        } else {
            1.055 * light.powf(1.0 / 2.4) - 0.055
        };
        (value * 255.0).round_ties_even() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_colours() {
        assert_eq!(rgb_to_lab([0, 0, 0]), [0, 128, 128]);
        assert_eq!(rgb_to_lab([255, 255, 255]), [255, 128, 128]);
        // OpenCV: COLOR_RGB2LAB of pure red, green and blue.
        assert_eq!(rgb_to_lab([255, 0, 0]), [136, 208, 195]);
        assert_eq!(rgb_to_lab([0, 255, 0]), [224, 42, 211]);
        assert_eq!(rgb_to_lab([0, 0, 255]), [82, 207, 20]);
    }

    #[test]
    fn there_and_back_is_near() {
        for i in 0..4096_u32 {
            let rgb = [i * 7 % 256, i * 31 % 256, i * 101 % 256].map(|v| v as u8);
            let back = lab_to_rgb(rgb_to_lab(rgb));
            for (a, b) in rgb.iter().zip(back) {
                assert!(a.abs_diff(b) <= 12, "{rgb:?} {back:?}");
            }
        }
    }
}
