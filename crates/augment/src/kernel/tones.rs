//! Several changes of colours in one pass over bytes.

use super::bytes::{deinterleave_rgb, interleave_rgb};
use super::colour::sum_channels;
use super::pixels::{Element, whole};
use super::planes::convert;
use super::simd::vectorised;

/// Pixels that are worked on at a time: their colours lie in the first cache.
const BLOCK: usize = 256;

/// A change of every colour by itself, of bytes to bytes.
pub trait Tone {
    /// Whether it needs to know the mean colour.
    fn needs_mean(&self) -> bool {
        false
    }

    /// Changes colours, given the mean colour of the image.
    fn change(&self, colours: &mut Colours, mean: [f32; 3]);
}

/// Colours of bytes as numbers, channel by channel.
#[derive(Debug)]
pub struct Colours {
    planes: [[f32; BLOCK]; 3],
}

impl Colours {
    /// Changes every colour. What `f` gives is clipped and rounded half to even,
    /// as bytes are.
    #[inline(always)]
    pub(crate) fn map(&mut self, f: impl Fn([f32; 3]) -> [f32; 3]) {
        self.each(f, whole::<false>);
    }

    /// Changes every colour. What `f` gives is clipped and cut off.
    #[inline(always)]
    pub(crate) fn map_truncated(&mut self, f: impl Fn([f32; 3]) -> [f32; 3]) {
        self.each(f, whole::<true>);
    }

    #[inline(always)]
    fn each(&mut self, f: impl Fn([f32; 3]) -> [f32; 3], to: impl Fn(f32) -> f32) {
        let [reds, greens, blues] = &mut self.planes;
        // By value: what lies behind a reference could be what is written.
        vectorised(
            #[inline(always)]
            move || {
                for ((red, green), blue) in reds.iter_mut().zip(greens).zip(blues) {
                    let [r, g, b] = f([*red, *green, *blue]);
                    (*red, *green, *blue) = (to(r), to(g), to(b));
                }
            },
        );
    }
}

/// Blocks of pixels, as colours that went through some tones.
struct Blocks<'a, I> {
    tones: I,
    mean: [f32; 3],
    bytes: [[u8; BLOCK]; 3],
    colours: Colours,
    marker: std::marker::PhantomData<&'a ()>,
}

impl<'a, I: Iterator<Item = &'a dyn Tone> + Clone> Blocks<'a, I> {
    fn new(data: &[u8], tones: I) -> Self {
        let mut sums = [0; 3];
        // Only of the first: what later ones need isn't known yet.
        if tones.clone().next().is_some_and(Tone::needs_mean) {
            sum_channels(data, &mut sums);
        }
        let area = (data.len() / 3).max(1) as f64;
        Self {
            tones,
            mean: sums.map(|sum| (sum as f64 / area) as f32),
            bytes: [[0; BLOCK]; 3],
            colours: Colours {
                planes: [[0.0; BLOCK]; 3],
            },
            marker: std::marker::PhantomData,
        }
    }

    fn run(&mut self, block: &[[u8; 3]]) -> &Colours {
        let [red, green, blue] = &mut self.bytes;
        deinterleave_rgb(block, [red, green, blue]);
        for (numbers, bytes) in self.colours.planes.iter_mut().zip(&self.bytes) {
            vectorised(
                #[inline(always)]
                || {
                    for (number, byte) in numbers.iter_mut().zip(bytes) {
                        *number = f32::from(*byte);
                    }
                },
            );
        }
        for tone in self.tones.clone() {
            tone.change(&mut self.colours, self.mean);
        }
        &self.colours
    }
}

/// Changes the colours of pixels of three bytes by all tones in turn, of which
/// only the first may need the mean.
pub(crate) fn change_tones<'a>(data: &mut [u8], tones: impl Iterator<Item = &'a dyn Tone> + Clone) {
    let mut blocks = Blocks::new(data, tones);
    for block in data.as_chunks_mut::<3>().0.chunks_mut(BLOCK) {
        blocks.run(block);
        for (bytes, numbers) in blocks.bytes.iter_mut().zip(&blocks.colours.planes) {
            vectorised(
                #[inline(always)]
                || {
                    for (byte, number) in bytes.iter_mut().zip(numbers) {
                        *byte = u8::from_f32(*number);
                    }
                },
            );
        }
        let [red, green, blue] = &blocks.bytes;
        interleave_rgb([red, green, blue], block);
    }
}

/// [`change_tones`], then planes of `(value - of(c)[0]) * of(c)[1]`.
pub(crate) fn tones_to_planes<'a>(
    data: &[u8],
    tones: impl Iterator<Item = &'a dyn Tone> + Clone,
    target: &mut [f32],
    of: impl Fn(usize) -> [f32; 2],
) {
    let mut blocks = Blocks::new(data, tones);
    let area = data.len() / 3;
    for (i, block) in data.as_chunks::<3>().0.chunks(BLOCK).enumerate() {
        let colours = blocks.run(block);
        for (c, plane) in colours.planes.iter().enumerate() {
            let out = &mut target[c * area + i * BLOCK..][..block.len()];
            convert(plane, out, of(c));
        }
    }
}
