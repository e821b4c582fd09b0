//! Run-time choice among the vector instructions of the processor.
//!
//! A kernel is written once, as plain loops over slices, and [`dispatched!`] compiles it several times. No
//! body contains an intrinsic, and floating-point operations are neither fused nor reordered, so that all
//! versions of a kernel give the same bits.

/// Which compiled version of a kernel runs.
///
/// Only [`Self::detect`] makes the ones that need particular instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Instructions {
    /// 512-bit vectors with bytes and words.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// 256-bit vectors.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// What the target guarantees.
    Portable,
}

impl Instructions {
    /// The best version for this processor.
    pub(crate) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
            {
                return Self::Avx512;
            }
            if is_x86_feature_detected!("avx2") {
                return Self::Avx2;
            }
        }
        Self::Portable
    }

    /// Every version that this processor can run.
    #[cfg(test)]
    pub(crate) fn all_available() -> Vec<Self> {
        let mut versions = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") {
                versions.push(Self::Avx2);
            }
            if Self::detect() == Self::Avx512 {
                versions.push(Self::Avx512);
            }
        }
        versions
    }
}

/// Defines a function with one more argument in front, [`Instructions`], that runs the version of the body
/// compiled for them. What the body calls has to be `#[inline(always)]` to be compiled along with it.
macro_rules! dispatched {
    (
        $(#[$meta:meta])*
        $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block
    ) => {
        $(#[$meta])*
        $visibility fn $name(
            instructions: $crate::simd::Instructions, $($argument: $type),*
        ) $(-> $result)? {
            #[inline(always)]
            fn body($($argument: $type),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
            fn avx512($($argument: $type),*) $(-> $result)? {
                body($($argument),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            fn avx2($($argument: $type),*) $(-> $result)? {
                body($($argument),*)
            }

            match instructions {
                // SAFETY: whoever made one of these two has detected the instructions.
                #[cfg(target_arch = "x86_64")]
                $crate::simd::Instructions::Avx512 => unsafe { avx512($($argument),*) },
                #[cfg(target_arch = "x86_64")]
                $crate::simd::Instructions::Avx2 => unsafe { avx2($($argument),*) },
                $crate::simd::Instructions::Portable => body($($argument),*),
            }
        }
    };
}

pub(crate) use dispatched;
