#include "lib/formats/torch_archive.h"

#include <fmt/format.h>
#include <libdeflate.h>

#include <algorithm>

#include "base/digest.h"
#include "lib/formats/state_pickle.h"
#include "lib/formats/torch_dtype.h"

namespace cairn {

namespace {

/// Puts what makes a tensor of a storage into the place of its name.
class Placer {
 public:
  Placer(PickleGraph& graph, const std::map<std::string, ArchiveTensor>& tensors)
      : graph_(graph), tensors_(tensors) {}

  Status run() {
    CAIRN_CHECK(find_tensors());
    for (const auto& [id, named] : places_) {
      CAIRN_TRY(const PickleId made, rebuilt(*tensors_.find(named.name), named.requires_grad));
      graph_.at(id) = graph_.at(made);
    }
    return {};
  }

  /// By the numbers of their storages.
  std::vector<std::string> used;

 private:
  Status find_tensors() {
    for (PickleId id = 0; id < graph_.size(); ++id) {
      auto named = tensor_name_at(graph_, id);
      if (!named) continue;
      if (!tensors_.contains(named->name)) {
        return fail(Code::kCorrupt, fmt::format("the state wants the tensor '{}', which the tag "
                                                "does not have",
                                                named->name));
      }
      if (storages_.try_emplace(named->name, kNoPickle).second) used.push_back(named->name);
      places_.emplace_back(id, *std::move(named));
    }
    std::stable_partition(used.begin(), used.end(), [&](const std::string& name) {
      return whole_box(tensors_.at(name).shape).is_empty();
    });
    for (size_t i = 0; i < used.size(); ++i) numbers_.emplace(used[i], i);
    return {};
  }

  PickleId numbers(const std::vector<uint64_t>& values) {
    std::vector<PickleId> items;
    for (const uint64_t value : values)
      items.push_back(graph_.integer(static_cast<int64_t>(value)));
    return graph_.tuple(std::move(items));
  }

  /// Of one element each.
  static std::vector<uint64_t> strides_of(const Shape& shape) {
    std::vector<uint64_t> strides(shape.size(), 1);
    for (size_t axis = shape.size(); axis > 1; --axis) {
      strides[axis - 2] = strides[axis - 1] * std::max<uint64_t>(shape[axis - 1], 1);
    }
    return strides;
  }

  PickleId storage_of(const std::string& name, uint64_t elements, std::string_view type) {
    PickleId& storage = storages_[name];
    if (storage == kNoPickle) {
      storage = graph_.persistent(
          graph_.tuple({graph_.text("storage"), graph_.global(type),
                        graph_.text(std::to_string(numbers_.at(name))), graph_.text("cpu"),
                        graph_.integer(static_cast<int64_t>(elements))}));
    }
    return storage;
  }

  Result<PickleId> rebuilt(const std::pair<const std::string, ArchiveTensor>& tensor,
                           bool requires_grad) {
    const auto& [name, form] = tensor;
    const std::string_view dtype = torch_dtype_name(form.dtype);
    if (dtype.empty()) {
      return fail(
          Code::kUsage,
          fmt::format("'{}' is {}, a dtype that PyTorch has not", name, dtype_name(form.dtype)),
          "leave it out with '--tensors'");
    }
    const std::string_view type = storage_name(form.dtype);
    const bool is_typed = type != kUntypedStorage;
    CAIRN_TRY(const uint64_t bytes, checked_bytes(form.dtype, form.shape));
    const uint64_t elements = is_typed ? bytes / (bits_per_element(form.dtype) / 8) : bytes;
    const PickleId hooks = graph_.call(graph_.global("collections.OrderedDict"), {});
    std::vector<PickleId> args = {storage_of(name, elements, type),
                                  graph_.integer(0),
                                  numbers(form.shape),
                                  numbers(strides_of(form.shape)),
                                  graph_.boolean(requires_grad),
                                  hooks};
    if (!is_typed) args.push_back(graph_.global(dtype));
    const std::string_view made_by =
        is_typed ? "torch._utils._rebuild_tensor_v2" : "torch._utils._rebuild_tensor_v3";
    return graph_.call(graph_.global(made_by), std::move(args));
  }

  PickleGraph& graph_;
  const std::map<std::string, ArchiveTensor>& tensors_;
  std::vector<std::pair<PickleId, TensorName>> places_;
  std::map<std::string, size_t> numbers_;
  std::map<std::string, PickleId> storages_;
};

}  // namespace

Result<TorchArchive> TorchArchive::plan(PickleGraph graph, PickleId root,
                                        const std::map<std::string, ArchiveTensor>& tensors) {
  Placer placer(graph, tensors);
  CAIRN_CHECK(placer.run());
  TorchArchive made;
  CAIRN_TRY(made.pickle_, write_pickle(graph, root));
  made.tensors_ = std::move(placer.used);
  // 40 digits that differ where the object does.
  made.id_ = blake3(made.pickle_).hex().substr(0, 40);
  made.layout_.add("archive/data.pkl", made.pickle_.size());
  made.layout_.add("archive/.format_version", 1);
  made.layout_.add("archive/.storage_alignment", 2);
  made.layout_.add("archive/byteorder", 6);
  for (size_t i = 0; i < made.tensors_.size(); ++i) {
    const ArchiveTensor& form = tensors.at(made.tensors_[i]);
    CAIRN_TRY(const uint64_t bytes, checked_bytes(form.dtype, form.shape));
    made.layout_.add(fmt::format("archive/data/{}", i), bytes);
  }
  made.layout_.add("archive/version", 2);
  made.layout_.add("archive/.data/serialization_id", made.id_.size());
  return made;
}

TorchArchive::Writer::Writer(const TorchArchive& archive, Write write)
    : archive_(archive),
      write_(std::move(write)),
      checksums_(archive.layout_.size()),
      done_(archive.layout_.size()) {}

static uint32_t checksum(uint32_t before, ByteSpan bytes) {
  return libdeflate_crc32(before, bytes.data(), bytes.size());
}

Status TorchArchive::Writer::put_entry(size_t number, ByteSpan bytes) {
  const ZipLayout& layout = archive_.layout_;
  if (done_[number] == 0) CAIRN_CHECK(put(layout.header_at(number), layout.header(number)));
  if (!bytes.empty()) CAIRN_CHECK(put(layout.data_at(number) + done_[number], bytes));
  done_[number] += bytes.size();
  checksums_[number] = checksum(checksums_[number], bytes);
  if (done_[number] != layout.bytes_of(number)) return {};
  return put(layout.data_at(number) + done_[number], layout.descriptor(number, checksums_[number]));
}

Status TorchArchive::Writer::begin() {
  CAIRN_CHECK(put_entry(0, archive_.pickle_));
  CAIRN_CHECK(put_entry(1, as_bytes("1")));
  CAIRN_CHECK(put_entry(2, as_bytes("64")));
  CAIRN_CHECK(put_entry(3, as_bytes("little")));
  const size_t end = kBefore + archive_.tensors_.size();
  for (size_t i = kBefore; i < end && archive_.layout_.bytes_of(i) == 0; ++i) {
    CAIRN_CHECK(put_entry(i, {}));
  }
  return {};
}

size_t TorchArchive::Writer::entry_of(uint64_t at) const {
  size_t low = kBefore, high = kBefore + archive_.tensors_.size();
  while (high - low > 1) {
    const size_t middle = (low + high) / 2;
    (archive_.layout_.data_at(middle) <= at ? low : high) = middle;
  }
  return low;
}

Status TorchArchive::Writer::add(uint64_t at, ByteSpan bytes) {
  return put_entry(entry_of(at), bytes);
}

Status TorchArchive::Writer::end() {
  const size_t after = kBefore + archive_.tensors_.size();
  CAIRN_CHECK(put_entry(after, as_bytes("3\n")));
  CAIRN_CHECK(put_entry(after + 1, as_bytes(archive_.id_)));
  return put(archive_.layout_.directory_at(), archive_.layout_.directory(checksums_));
}

}  // namespace cairn
