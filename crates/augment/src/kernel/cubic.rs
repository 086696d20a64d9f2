//! Cubic convolution: one pixel from sixteen.

use super::fixed::{HALF, fraction, whole};
use super::pixels::Element;
use super::warp::Job;
use crate::geometry::cubic_weights;
use crate::{Border, Size};

impl<T: Element> Job<'_, T> {
    /// One pixel, any of whose neighbours may be outside.
    pub(super) fn cubic(&self, target: &mut [T], pixel: usize, [sx, sy]: [i64; 2], a: f32) {
        let border = &self.warp.border;
        let Size { height, width } = self.source.size();
        let inside = |v: i64, n: usize| (0..n as i64).contains(&whole(v + HALF));
        let hard = matches!(border, Border::ConstantHard(_));
        let cut = hard && !(inside(sx, width) && inside(sy, height));
        let (left, top) = (whole(sx) - 1, whole(sy) - 1);
        let find = |x: i64, y: i64| {
            if hard {
                let x = x.clamp(0, width as i64 - 1) as usize;
                let y = y.clamp(0, height as i64 - 1) as usize;
                (!cut).then_some(y * width + x)
            } else {
                self.pixel(x, y)
            }
        };
        let taps: [[Option<usize>; 4]; 4] =
            std::array::from_fn(|j| std::array::from_fn(|i| find(left + i as i64, top + j as i64)));
        let (across, down) = (
            cubic_weights(fraction(sx), a),
            cubic_weights(fraction(sy), a),
        );
        let sum = |value: &dyn Fn(Option<usize>) -> f32| -> f32 {
            let row = |row: &[Option<usize>; 4]| -> f32 {
                row.iter().zip(across).map(|(tap, w)| w * value(*tap)).sum()
            };
            taps.iter().zip(down).map(|(taps, w)| w * row(taps)).sum()
        };
        let data = self.source.data();
        let twice = matches!(border, Border::ConstantTwice(_));
        for channel in 0..self.source.channels() {
            let fill = border.fill(channel);
            let outside = if twice { 0.0 } else { fill };
            let mut value = sum(&|tap| {
                tap.map_or(outside, |pixel| {
                    data[pixel * self.read.pixel + channel * self.read.channel].to_f32()
                })
            });
            if cut {
                value = fill;
            } else if twice {
                let inside = sum(&|tap| f32::from(tap.is_some()));
                value = value * inside + (1.0 - inside) * fill;
            }
            target[pixel * self.write.pixel + channel * self.write.channel] = T::from_f32(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Layout, Pixels, PixelsMut, warp};
    use super::*;
    use crate::{Interpolation, Matrix, Warp};

    fn shifted(interpolation: Interpolation, border: Border, by: f64) -> Vec<f32> {
        let size = Size::new(1, 6);
        let row: Vec<f32> = (0..6).map(|i| (i * i) as f32).collect();
        let shift = Warp {
            matrix: Matrix::translation(by, 0.0),
            size,
            interpolation,
            border,
        };
        let mut out = vec![0.0; 6];
        warp(
            Pixels::new(&row, size, 1, Layout::Hwc).unwrap(),
            PixelsMut::new(&mut out, size, 1, Layout::Hwc).unwrap(),
            &shift,
        )
        .unwrap();
        out
    }

    #[test]
    fn catmull_rom_reproduces_a_parabola() {
        let out = shifted(Interpolation::CatmullRom, Border::Replicate, 0.5);
        for (i, value) in out.iter().enumerate().skip(1).take(2) {
            let x = i as f32 + 0.5;
            assert!((value - x * x).abs() < 1e-5, "{value}");
        }
    }

    #[test]
    fn outside_shows_the_constant() {
        for border in [
            Border::Constant(vec![7.0]),
            Border::ConstantTwice(vec![7.0]),
            Border::ConstantHard(vec![7.0]),
        ] {
            let out = shifted(Interpolation::Bicubic, border, 20.25);
            assert!(out.iter().all(|v| (v - 7.0).abs() < 1e-5), "{out:?}");
        }
    }
}
