// A chunk that was made from others, by itself.
#pragma once

#include "store/pack_reader.h"
#include "store/pack_writer.h"

namespace cairn {

/// Stores the chunk: as planes where that saves a sixteenth, else as it is; and checks that this
/// decodes to what it should. `old`: the copy that was made from others; `decoded`: what it decodes
/// to. `reader`: of any store with the chunk rule of the packs. Errors: those of `packs`; kCorrupt.
Result<Copy> store_alone(const Copy& old, const Digest& digest, ByteSpan decoded, PackWriter& packs,
                         const PackReader& reader);

}  // namespace cairn
