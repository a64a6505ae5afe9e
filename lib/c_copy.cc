// The C ABI: copying memory.
#include "base/stream_copy.h"
#include "lib/c_abi.h"

extern "C" {

cairn_status cairn_copy(const cairn_move* moves, size_t count, size_t move_bytes,
                        uint32_t threads) {
  return cairn::c_abi::run([&]() -> cairn::Status {
    if (count > 0 && (moves == nullptr || move_bytes < sizeof(void*) * 2 + sizeof(size_t))) {
      return cairn::fail(cairn::Code::kUsage, "there are no moves, or move_bytes is not set");
    }
    std::vector<cairn::MemoryMove> given(count);
    const auto* at = reinterpret_cast<const uint8_t*>(moves);
    for (size_t i = 0; i < count; ++i, at += move_bytes) {
      const auto move = cairn::c_abi::grown<cairn_move>(at, move_bytes);
      given[i] = {static_cast<uint8_t*>(move.target), static_cast<const uint8_t*>(move.source),
                  move.bytes};
    }
    cairn::stream_copy(given, threads);
    return {};
  });
}
}
