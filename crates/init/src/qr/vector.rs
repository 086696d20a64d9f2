//! Numbers as the vector registers of an instruction set hold them.

use pulp::Simd;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// The numbers a matrix can be made of.
pub(crate) trait Real:
    Copy
    + Default
    + PartialOrd
    + Send
    + Sync
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    const ONE: Self;

    /// As many numbers as fit one register.
    type Register<S: Simd>: Copy;

    fn sqrt(self) -> Self;

    /// Numbers per register.
    fn lanes<S: Simd>() -> usize;
    fn splat<S: Simd>(simd: S, value: Self) -> Self::Register<S>;
    /// `sum + a * b`, rounded twice.
    fn add_product<S: Simd>(
        simd: S,
        sum: Self::Register<S>,
        a: Self::Register<S>,
        b: Self::Register<S>,
    ) -> Self::Register<S>;
    /// `rest - a * b`, rounded twice.
    fn subtract_product<S: Simd>(
        simd: S,
        rest: Self::Register<S>,
        a: Self::Register<S>,
        b: Self::Register<S>,
    ) -> Self::Register<S>;
    /// The registers that a slice fills; what doesn't fill one is left out.
    fn registers<S: Simd>(slice: &[Self]) -> &[Self::Register<S>];
    fn registers_mut<S: Simd>(slice: &mut [Self]) -> &mut [Self::Register<S>];
}

macro_rules! real {
    ($t:ty, $register:ident, $lanes:ident, $splat:ident, $mul:ident, $add:ident, $sub:ident,
     $slice:ident, $slice_mut:ident) => {
        impl Real for $t {
            const ONE: Self = 1.0;
            type Register<S: Simd> = S::$register;

            #[inline(always)]
            fn sqrt(self) -> Self {
                self.sqrt()
            }
            #[inline(always)]
            fn lanes<S: Simd>() -> usize {
                S::$lanes
            }
            #[inline(always)]
            fn splat<S: Simd>(simd: S, value: Self) -> S::$register {
                simd.$splat(value)
            }
            #[inline(always)]
            fn add_product<S: Simd>(
                simd: S,
                sum: S::$register,
                a: S::$register,
                b: S::$register,
            ) -> S::$register {
                simd.$add(sum, simd.$mul(a, b))
            }
            #[inline(always)]
            fn subtract_product<S: Simd>(
                simd: S,
                rest: S::$register,
                a: S::$register,
                b: S::$register,
            ) -> S::$register {
                simd.$sub(rest, simd.$mul(a, b))
            }
            #[inline(always)]
            fn registers<S: Simd>(slice: &[Self]) -> &[S::$register] {
                S::$slice(slice).0
            }
            #[inline(always)]
            fn registers_mut<S: Simd>(slice: &mut [Self]) -> &mut [S::$register] {
                S::$slice_mut(slice).0
            }
        }
    };
}

real!(
    f32,
    f32s,
    F32_LANES,
    splat_f32s,
    mul_f32s,
    add_f32s,
    sub_f32s,
    as_simd_f32s,
    as_mut_simd_f32s
);
real!(
    f64,
    f64s,
    F64_LANES,
    splat_f64s,
    mul_f64s,
    add_f64s,
    sub_f64s,
    as_simd_f64s,
    as_mut_simd_f64s
);
