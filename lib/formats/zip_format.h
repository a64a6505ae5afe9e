// Numbers of the zip format (PKWARE's APPNOTE 6.3).
#pragma once

#include <cstdint>

namespace cairn::zip {

inline constexpr uint32_t kLocal = 0x04034b50, kDirectory = 0x02014b50, kEnd = 0x06054b50;
inline constexpr uint32_t kEnd64 = 0x06064b50, kLocator64 = 0x07064b50;
inline constexpr uint64_t kLocalBytes = 30, kDirectoryBytes = 46, kEndBytes = 22;
inline constexpr uint64_t kEnd64Bytes = 56, kLocator64Bytes = 20;
inline constexpr uint16_t kExtra64 = 1;
/// Names are UTF-8.
inline constexpr uint16_t kUtf8Names = 0x0800;
/// The version that knows files of 64 bits.
inline constexpr uint16_t kVersion64 = 45;

}  // namespace cairn::zip
