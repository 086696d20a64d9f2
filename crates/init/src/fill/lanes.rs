//! The block function and the quantile, written for vector units.
//!
//! The arithmetic is that of `firecraft_key`; only its order over independent
//! elements and the selection between branches differ.

use firecraft_key::convert::{
    CENTRE_DENOMINATOR, CENTRE_LIMIT, CENTRE_NUMERATOR, LN_POLYNOMIAL, TAIL_DENOMINATOR,
    TAIL_NUMERATOR,
};
use firecraft_key::philox::{MULTIPLIERS, ROUNDS, WEYL};

/// Blocks computed side by side.
const LANES: usize = 16;
/// Words that one call of [`words`] makes.
pub(super) const GROUP: usize = 4 * LANES;

/// The words of blocks `first_block .. first_block + 16` of a key's stream.
///
/// Every 32-bit word of the state sits in the lower half of a 64-bit lane, whose
/// upper half holds whatever the last product left there: the multiplication
/// of vector units reads the lower halves only, so nothing has to be moved.
#[inline(always)]
pub(super) fn words(key: [u64; 2], first_block: u64, out: &mut [u32; GROUP]) {
    const LOW: u64 = 0xffff_ffff;
    let mut c0 = [0_u64; LANES];
    let mut c1 = [0_u64; LANES];
    let mut c2 = [key[1] & LOW; LANES];
    let mut c3 = [key[1] >> 32; LANES];
    for lane in 0..LANES {
        let index = first_block.wrapping_add(lane as u64);
        c0[lane] = index;
        c1[lane] = index >> 32;
    }
    let (mut k0, mut k1) = (key[0] as u32, (key[0] >> 32) as u32);
    for _ in 0..ROUNDS {
        for lane in 0..LANES {
            let left = u64::from(MULTIPLIERS[0]) * (c0[lane] & LOW);
            let right = u64::from(MULTIPLIERS[1]) * (c2[lane] & LOW);
            c0[lane] = (right >> 32) ^ c1[lane] ^ u64::from(k0);
            c1[lane] = right;
            c2[lane] = (left >> 32) ^ c3[lane] ^ u64::from(k1);
            c3[lane] = left;
        }
        k0 = k0.wrapping_add(WEYL[0]);
        k1 = k1.wrapping_add(WEYL[1]);
    }
    for lane in 0..LANES {
        out[4 * lane] = c0[lane] as u32;
        out[4 * lane + 1] = c1[lane] as u32;
        out[4 * lane + 2] = c2[lane] as u32;
        out[4 * lane + 3] = c3[lane] as u32;
    }
}

/// `convert::normal`, without a branch.
#[inline(always)]
pub(super) fn normal(word: u32) -> f32 {
    let tail = ((word & 0x7fff_ffff) as f32 + 0.5) * (1.0 / 4_294_967_296.0);
    let magnitude = upper_quantile(tail);
    f32::from_bits(magnitude.to_bits() | word & 0x8000_0000)
}

/// `convert::upper_quantile` with both branches computed and one division:
/// selecting the operands of a division gives the bits of selecting its result.
#[inline(always)]
pub(super) fn upper_quantile(tail: f32) -> f32 {
    let centre = 0.5 - tail;
    let inner = 0.180_625 - centre * centre;
    // The hardware's square root is the correctly rounded one of `convert`.
    let outer = (-ln(tail)).sqrt() - 1.6;
    let (numerator, denominator) = if centre <= CENTRE_LIMIT {
        (
            centre * polynomial(&CENTRE_NUMERATOR, inner),
            polynomial(&CENTRE_DENOMINATOR, inner),
        )
    } else {
        (
            polynomial(&TAIL_NUMERATOR, outer),
            polynomial(&TAIL_DENOMINATOR, outer),
        )
    };
    numerator / denominator
}

/// `convert::polynomial` without its first step, `0 · x + c`: the same bits for
/// every finite `x`, since no coefficient is 0.
#[inline(always)]
fn polynomial<const N: usize>(coefficients: &[f32; N], x: f32) -> f32 {
    let mut sum = coefficients[0];
    for c in &coefficients[1..] {
        sum = sum * x + c;
    }
    sum
}

/// `convert::ln`.
#[inline(always)]
fn ln(x: f32) -> f32 {
    const SQRT_HALF_BITS: u32 = 0x3f35_04f3;
    let shifted = x.to_bits().wrapping_sub(SQRT_HALF_BITS);
    let exponent = (shifted as i32 >> 23) as f32;
    let mantissa = f32::from_bits((shifted & 0x007f_ffff) + SQRT_HALF_BITS) - 1.0;
    let square = mantissa * mantissa;
    let mut y = polynomial(&LN_POLYNOMIAL, mantissa) * mantissa * square;
    y += exponent * -2.121_944_4e-4;
    y += square * -0.5;
    (mantissa + y) + exponent * 0.693_359_4
}
