// The C ABI: stores, and checkpoints to be read.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/c_abi.h"
#include "lib/find_tag.h"
#include "lib/open_store.h"

using cairn::Code;
using cairn::fail;
using cairn::Status;

namespace cairn::c_abi {

static nlohmann::ordered_json describe(const Checkpoint& checkpoint) {
  const TagEntry& tag = checkpoint.tag();
  const Manifest& manifest = checkpoint.manifest();
  nlohmann::ordered_json described{{"tag", tag.name},
                                   {"manifest", tag.manifest.digest.hex()},
                                   {"step", nullptr},
                                   {"metadata", nlohmann::json::object()},
                                   {"tensors", nlohmann::json::array()},
                                   {"attachments", nlohmann::json::array()}};
  if (tag.step) described["step"] = *tag.step;
  for (const Metadata* metadata : {&manifest.metadata, &manifest.file_metadata}) {
    for (const auto& [key, value] : *metadata) described["metadata"].emplace(key, value);
  }
  for (const TensorInfo& tensor : checkpoint.schema().tensors) {
    described["tensors"].push_back({{"name", tensor.name},
                                    {"dtype", dtype_name(static_cast<Dtype>(tensor.dtype))},
                                    {"shape", tensor.shape}});
  }
  for (const AttachmentInfo& attachment : manifest.attachments) {
    described["attachments"].push_back({{"name", attachment.name}, {"bytes", attachment.bytes}});
  }
  return described;
}

static Status read_whole(Checkpoint& checkpoint, std::string_view name, uint8_t* data,
                         size_t bytes) {
  const auto item = checkpoint.find_attachment(name);
  if (!item) return fail(Code::kNotFound, fmt::format("there is no attachment '{}'", name));
  if (checkpoint.attachment(*item).bytes != bytes) {
    return fail(Code::kUsage, fmt::format("the attachment '{}' has {} bytes, not {}", name,
                                          checkpoint.attachment(*item).bytes, bytes));
  }
  return read_attachment(checkpoint, name, [&](ByteSpan part) -> Status {
    data = std::copy(part.begin(), part.end(), data);
    return {};
  });
}

}  // namespace cairn::c_abi

extern "C" {

cairn_status cairn_init(const char* folder) {
  return cairn::c_abi::run([&]() -> Status {
    CAIRN_TRY(const std::string path, cairn::c_abi::text_of(folder, "the store's folder"));
    return cairn::init_store(path, {});
  });
}

cairn_status cairn_open(const char* folder, cairn_store** store) {
  return cairn::c_abi::run([&]() -> Status {
    CAIRN_TRY(const std::string path, cairn::c_abi::text_of(folder, "the store's folder"));
    cairn::remote::RemoteOptions options;
    options.may_cache = true;
    CAIRN_TRY(auto opened, cairn::open_store(path, options));
    // One pointer to the store keeps what its files are read through.
    const auto held = std::make_shared<const cairn::OpenStore>(std::move(opened));
    *store = new cairn_store{{held, &**held}};
    return {};
  });
}

void cairn_close(cairn_store* store) { delete store; }

cairn_status cairn_checkpoint_open(cairn_store* store, const char* tag,
                                   cairn_checkpoint** checkpoint) {
  return cairn::c_abi::run([&]() -> Status {
    CAIRN_TRY(const std::string name, cairn::c_abi::text_of(tag, "the tag"));
    CAIRN_TRY(const cairn::TagEntry entry, cairn::find_tag(*store->store, name));
    CAIRN_TRY(auto opened, cairn::open_tag(*store->store, entry.name));
    *checkpoint = new cairn_checkpoint{store->store, std::move(opened)};
    return {};
  });
}

void cairn_checkpoint_close(cairn_checkpoint* checkpoint) { delete checkpoint; }

cairn_status cairn_checkpoint_describe(cairn_checkpoint* checkpoint, char** description) {
  return cairn::c_abi::run([&]() -> Status {
    return cairn::c_abi::give_json(cairn::c_abi::describe(*checkpoint->checkpoint), description);
  });
}

cairn_status cairn_checkpoint_attachment(cairn_checkpoint* checkpoint, const char* name, void* data,
                                         size_t bytes) {
  return cairn::c_abi::run([&]() -> Status {
    CAIRN_TRY(const std::string wanted, cairn::c_abi::text_of(name, "the attachment's name"));
    return cairn::c_abi::read_whole(*checkpoint->checkpoint, wanted, static_cast<uint8_t*>(data),
                                    bytes);
  });
}
}
