#include "base/encodings/cast.h"

#include "base/encodings/item_kernel.h"

namespace cairn {

void cast_items(Cast cast, ByteSpan in, MutableBytes out) {
  const ItemKernel& kernel = item_kernel();
  switch (cast) {
    case Cast::kF32ToBf16:
      return kernel.bf16_from_f32(in.data(), in.size() / 4, out.data());
    case Cast::kBf16ToF32:
      return kernel.f32_from_bf16(in.data(), in.size() / 2, out.data());
    case Cast::kF32ToF16:
      return kernel.f16_from_f32(in.data(), in.size() / 4, out.data());
    case Cast::kF16ToF32:
      return kernel.f32_from_f16(in.data(), in.size() / 2, out.data());
  }
}

}  // namespace cairn
