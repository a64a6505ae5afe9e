// Files of torch.save.
#include <fmt/format.h>

#include "lib/formats/export_formats.h"
#include "lib/formats/saved_state.h"
#include "lib/formats/state_pickle.h"
#include "lib/formats/state_taker.h"
#include "lib/formats/torch_archive.h"
#include "lib/new_file.h"
#include "lib/strided.h"

namespace cairn {

namespace {

class TorchExporter {
 public:
  TorchExporter(Checkpoint& checkpoint, const ExportRequest& request,
                const std::vector<ExportedTensor>& tensors, ExportResult& result)
      : checkpoint_(checkpoint), request_(request), result_(result) {
    for (const ExportedTensor& tensor : tensors) {
      by_name_.emplace(tensor.stored, &tensor);
      forms_.emplace(tensor.stored, ArchiveTensor{tensor.dtype, tensor.shape});
    }
  }

  Status run(const std::vector<ExportedTensor>& tensors) {
    CAIRN_TRY(const SavedState state, load_state(checkpoint_, request_, tensors));
    PickleGraph graph;
    CAIRN_TRY(const PickleId root, root_of(state, graph));
    CAIRN_TRY(const TorchArchive archive, TorchArchive::plan(std::move(graph), root, forms_));
    warn(state);
    return write(archive);
  }

 private:
  Result<PickleId> root_of(const SavedState& state, PickleGraph& graph) {
    if (!state.torch.empty()) {
      CAIRN_TRY(const PickleRead read, read_pickle(state.torch, graph));
      return read.root;
    }
    CAIRN_TRY(const auto objects, read_objects(graph, state.objects));
    const OtherLeaf object = among(objects);
    return pickle_of_state(graph, state.root, [&](const StateNode& leaf) -> Result<PickleId> {
      if (leaf.kind == StateNode::Kind::kObject) return object(leaf);
      return bytes_of(leaf, graph);
    });
  }

  /// What DCP's planner made of an object: a file of torch.save, which becomes a part of this one.
  Result<PickleId> bytes_of(const StateNode& leaf, PickleGraph& graph) {
    const std::string name = std::string(kBytesPrefix) + leaf.name;
    CAIRN_TRY(const Bytes bytes, load_attachment(checkpoint_, name));
    CAIRN_TRY(TorchFile file, parse_torch_file(bytes, name));
    for (PickleId id = 0, end = static_cast<PickleId>(file.graph.size()); id < end; ++id) {
      if (inner_tensor(file.graph, id) != id) continue;
      CAIRN_TRY(const auto tensor, tensor_at(file, id, name));
      if (!tensor) continue;
      const std::string own = fmt::format("{}#{}", name, extras_.size());
      CAIRN_CHECK(add_extra(own, *tensor));
      file.graph.at(id) = file.graph.at(tensor_name_node(file.graph, own, tensor->requires_grad));
    }
    CAIRN_TRY(const Bytes pickle, write_pickle(file.graph, file.root));
    CAIRN_TRY(const PickleRead read, read_pickle(pickle, graph));
    return read.root;
  }

  Status add_extra(const std::string& name, const TorchTensor& tensor) {
    CAIRN_TRY(const uint64_t bytes, checked_bytes(tensor.dtype, tensor.shape));
    Bytes& copy = extras_[name];
    copy.resize(bytes);
    const uint64_t item = bits_per_element(tensor.dtype) / 8;
    copy_box({tensor.data, tensor.strides_bytes},
             {copy.data(), contiguous_strides(tensor.shape, item)}, tensor.shape, item);
    forms_.emplace(name, ArchiveTensor{tensor.dtype, tensor.shape});
    return {};
  }

  void warn(const SavedState& state) {
    size_t count = 0;
    for (const AttachmentInfo& attachment : checkpoint_.manifest().attachments) {
      if (!is_state_attachment(attachment.name)) ++count;
    }
    if (count > 0) {
      result_.warnings.push_back(fmt::format(
          "{} attachment(s) stay behind: a file of torch.save has no place for them", count));
    }
    warn_of_what_stays(state.has_more, result_);
  }

  /// Tensors can be appended when all come from the tag, one after the other.
  Status write(const TorchArchive& archive) {
    const bool in_order = is_read_in_order(checkpoint_) && extras_.empty();
    const auto order = in_order ? NewFile::Order::kAppend : NewFile::Order::kPlaced;
    CAIRN_TRY(NewFile file,
              NewFile::create(export_fs(checkpoint_), request_.path, request_.force, order));
    TorchArchive::Writer writer(archive, [&](uint64_t at, ByteSpan bytes) {
      return in_order ? file.append(bytes) : file.write_at(at, bytes);
    });
    CAIRN_CHECK(writer.begin());
    CAIRN_CHECK(write_tensors(archive, writer));
    CAIRN_CHECK(writer.end());
    CAIRN_CHECK(file.publish());
    result_.files.push_back(file.path());
    return {};
  }

  Status write_tensors(const TorchArchive& archive, TorchArchive::Writer& writer) {
    std::vector<PlacedTensor> placed;
    for (size_t i = 0; i < archive.tensors().size(); ++i) {
      const std::string& name = archive.tensors()[i];
      const auto extra = extras_.find(name);
      if (extra != extras_.end()) {
        if (!extra->second.empty()) CAIRN_CHECK(writer.add(archive.data_at(i), extra->second));
        continue;
      }
      const ExportedTensor& tensor = *by_name_.at(name);
      placed.push_back({&tensor, archive.data_at(i)});
      result_.bytes += tensor.bytes;
      ++result_.tensors;
    }
    return stream_tensors(checkpoint_, request_.call, placed, [&](uint64_t at, ByteSpan bytes) {
      return bytes.empty() ? Status() : writer.add(at, bytes);
    });
  }

  Checkpoint& checkpoint_;
  const ExportRequest& request_;
  ExportResult& result_;
  std::map<std::string, const ExportedTensor*> by_name_;
  std::map<std::string, ArchiveTensor> forms_;
  std::map<std::string, Bytes> extras_;  // tensors in objects, by names of their own
};

}  // namespace

Status export_torch(Checkpoint& checkpoint, const ExportRequest& request,
                    const std::vector<ExportedTensor>& tensors, ExportResult& result) {
  return TorchExporter(checkpoint, request, tensors, result).run(tensors);
}

}  // namespace cairn
