#include "lib/formats/torch_dtype.h"

#include <algorithm>
#include <array>
#include <string>

namespace cairn {

namespace {

struct Row {
  Dtype dtype;
  std::string_view torch, storage;
};

constexpr std::array<Row, 19> kRows = {{
    {Dtype::kBool, "torch.bool", "torch.BoolStorage"},
    {Dtype::kU8, "torch.uint8", "torch.ByteStorage"},
    {Dtype::kI8, "torch.int8", "torch.CharStorage"},
    {Dtype::kI16, "torch.int16", "torch.ShortStorage"},
    {Dtype::kI32, "torch.int32", "torch.IntStorage"},
    {Dtype::kI64, "torch.int64", "torch.LongStorage"},
    {Dtype::kF16, "torch.float16", "torch.HalfStorage"},
    {Dtype::kBF16, "torch.bfloat16", "torch.BFloat16Storage"},
    {Dtype::kF32, "torch.float32", "torch.FloatStorage"},
    {Dtype::kF64, "torch.float64", "torch.DoubleStorage"},
    {Dtype::kC64, "torch.complex64", "torch.ComplexFloatStorage"},
    {Dtype::kU16, "torch.uint16", ""},
    {Dtype::kU32, "torch.uint32", ""},
    {Dtype::kU64, "torch.uint64", ""},
    {Dtype::kF8E5M2, "torch.float8_e5m2", ""},
    {Dtype::kF8E4M3, "torch.float8_e4m3fn", ""},
    {Dtype::kF8E8M0, "torch.float8_e8m0fnu", ""},
    {Dtype::kF8E4M3Fnuz, "torch.float8_e4m3fnuz", ""},
    {Dtype::kF8E5M2Fnuz, "torch.float8_e5m2fnuz", ""},
}};

}  // namespace

std::optional<Dtype> dtype_of_torch(std::string_view name) {
  for (const Row& row : kRows) {
    if (row.torch == name) return row.dtype;
  }
  return std::nullopt;
}

std::string_view torch_dtype_name(Dtype dtype) {
  for (const Row& row : kRows) {
    if (row.dtype == dtype) return row.torch;
  }
  return "";
}

/// Storages of a GPU are told apart by their module.
static std::string on_host(std::string_view name) {
  static constexpr std::string_view kCuda = "torch.cuda.";
  if (!name.starts_with(kCuda)) return std::string(name);
  return "torch." + std::string(name.substr(kCuda.size()));
}

std::optional<Dtype> dtype_of_storage(std::string_view name) {
  const std::string plain = on_host(name);
  for (const Row& row : kRows) {
    if (!row.storage.empty() && row.storage == plain) return row.dtype;
  }
  return std::nullopt;
}

uint32_t storage_item_bytes(std::string_view name) {
  if (const auto dtype = dtype_of_storage(name)) return bits_per_element(*dtype) / 8;
  const std::string plain = on_host(name);
  if (plain == "torch.ComplexDoubleStorage") return 16;
  return plain == "torch.QInt32Storage" ? 4 : 1;
}

std::string_view storage_name(Dtype dtype) {
  for (const Row& row : kRows) {
    if (row.dtype == dtype && !row.storage.empty()) return row.storage;
  }
  return kUntypedStorage;
}

bool is_torch_dtype(std::string_view name) {
  static constexpr std::array<std::string_view, 10> kOthers = {
      "torch.complex32", "torch.complex128",      "torch.qint8",  "torch.quint8",
      "torch.qint32",    "torch.bits8",           "torch.bits16", "torch.quint4x2",
      "torch.quint2x4",  "torch.float4_e2m1fn_x2"};
  const bool is_other = std::find(kOthers.begin(), kOthers.end(), name) != kOthers.end();
  return is_other ||
         std::any_of(kRows.begin(), kRows.end(), [&](const Row& row) { return row.torch == name; });
}

bool is_torch_storage(std::string_view name) {
  static constexpr std::array<std::string_view, 6> kOthers = {
      kUntypedStorage,       "torch.ComplexDoubleStorage", "torch.QInt8Storage",
      "torch.QUInt8Storage", "torch.QInt32Storage",        "torch.storage.TypedStorage"};
  return dtype_of_storage(name).has_value() ||
         std::find(kOthers.begin(), kOthers.end(), on_host(name)) != kOthers.end();
}

}  // namespace cairn
