// How files of a Hugging Face model's folder are called.
#pragma once

#include <string>
#include <string_view>

namespace cairn {

inline constexpr std::string_view kSafetensorsSuffix = ".safetensors";
inline constexpr std::string_view kModelName = "model.safetensors";
inline constexpr std::string_view kModelIndexName = "model.safetensors.index.json";
/// Whether readers of such a folder begin there.
inline bool is_model_entry(const std::string& name) {
  return name == kModelIndexName || name == kModelName;
}
// Of older models.
inline constexpr std::string_view kBinName = "pytorch_model.bin";
inline constexpr std::string_view kBinIndexName = "pytorch_model.bin.index.json";

}  // namespace cairn
