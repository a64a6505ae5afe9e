// Folders of torch.distributed.checkpoint, as one rank would have written them: files of items,
// each of which is a file of torch.save, and `.metadata`, which comes last.
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <set>

#include "lib/formats/dcp_keys.h"
#include "lib/formats/dcp_metadata.h"
#include "lib/formats/export_folder.h"
#include "lib/formats/export_formats.h"
#include "lib/formats/hugging_face_names.h"
#include "lib/formats/saved_state.h"
#include "lib/formats/state_pickle.h"
#include "lib/formats/torch_archive.h"
#include "lib/slabs.h"

namespace cairn {

/// Whoever loads a part of a piece reads all of it.
static constexpr uint64_t kPieceBytesMax = 256 * kMiB;

static bool is_dcp_file(const std::string& name) {
  return is_dcp_entry(name) || name.ends_with(kDcpSuffix);
}
static constexpr FolderFormat kDcpFolder = {is_dcp_entry, is_dcp_file, is_model_entry};

namespace {

class DcpExporter {
 public:
  DcpExporter(Checkpoint& checkpoint, const ExportRequest& request,
              const std::vector<ExportedTensor>& tensors, ExportResult& result)
      : checkpoint_(checkpoint),
        request_(request),
        result_(result),
        folder_(export_fs(checkpoint), request, kDcpFolder, result) {
    for (const ExportedTensor& tensor : tensors) by_name_.emplace(tensor.stored, &tensor);
  }

  Status run(const std::vector<ExportedTensor>& tensors) {
    CAIRN_TRY(state_, load_state(checkpoint_, request_, tensors));
    warn_of_what_stays(state_.has_more, result_);
    CAIRN_CHECK(folder_.check_attachments(checkpoint_, is_state_attachment));
    CAIRN_CHECK(folder_.prepare());
    const Status written = fill();
    files_.clear();  // what has no name yet goes
    if (!written) folder_.remove_what_was_written();
    return written;
  }

 private:
  /// A piece of a tensor on its way into a file. Its bytes follow those of the piece before it.
  struct Piece {
    uint64_t begin = 0, bytes = 0, done = 0;  // among all bytes of tensors
    size_t file = 0;
    uint64_t at = 0;  // in the file
    TorchArchive archive;
    std::optional<TorchArchive::Writer> writer;
  };

  Status fill() {
    order_ = is_read_in_order(checkpoint_) ? NewFile::Order::kAppend : NewFile::Order::kPlaced;
    CAIRN_CHECK(open_file());
    CAIRN_TRY(objects_, read_objects(object_graph_, state_.objects));
    const std::vector<DcpLeaf> leaves = dcp_leaves(state_.root);
    metadata_.items.resize(leaves.size());
    for (const DcpLeaf& leaf : leaves) metadata_.paths.emplace_back(leaf.key, leaf.path);
    // (1) What is here: values, and tensors without a byte.
    for (size_t i = 0; i < leaves.size(); ++i)
      CAIRN_CHECK(add_small(leaves[i], metadata_.items[i]));
    for (size_t i = 0; i < leaves.size(); ++i)
      CAIRN_CHECK(add_large(leaves[i], metadata_.items[i]));
    // (2) All other tensors, in the order of the items.
    CAIRN_CHECK(stream_tensors(checkpoint_, request_.call, placed_,
                               [&](uint64_t at, ByteSpan bytes) { return take(at, bytes); }));
    for (NewFile& file : files_) CAIRN_CHECK(file.seal());
    // (3) What says where all of it is.
    CAIRN_TRY(NewFile metadata, write_metadata());
    std::vector<NewFile> parts;
    for (NewFile& file : files_) parts.push_back(std::move(file));
    CAIRN_CHECK(folder_.write_attachments(checkpoint_, is_state_attachment, parts));
    return folder_.publish(parts, metadata);
  }

  // --- Files

  std::string file_name(size_t number) const { return fmt::format("__0_{}{}", number, kDcpSuffix); }

  Status open_file() {
    CAIRN_TRY(NewFile file, folder_.create(file_name(files_.size()), order_));
    files_.push_back(std::move(file));
    end_ = 0;
    return {};
  }

  /// Room for so many bytes, in the file that is being filled or another.
  Result<DcpPlace> place(uint64_t bytes) {
    if (end_ != 0 && end_ + bytes > request_.shard_bytes_max) CAIRN_CHECK(open_file());
    DcpPlace made{file_name(files_.size() - 1), end_, bytes};
    end_ += bytes;
    return made;
  }

  Status write(size_t file, uint64_t at, ByteSpan bytes) {
    return order_ == NewFile::Order::kAppend ? files_[file].append(bytes)
                                             : files_[file].write_at(at, bytes);
  }

  // --- Items

  /// Null for what is no tensor.
  const ExportedTensor* tensor_of(const DcpLeaf& leaf) const {
    switch (leaf.node->kind) {
      case StateNode::Kind::kTensor:
      case StateNode::Kind::kArray:
        return by_name_.at(leaf.node->name);
      case StateNode::Kind::kTied:
        return by_name_.at(leaf.node->tied);
      case StateNode::Kind::kDict:
      case StateNode::Kind::kList:
      case StateNode::Kind::kTuple:
      case StateNode::Kind::kValue:
      case StateNode::Kind::kObject:
      case StateNode::Kind::kBytes:
        return nullptr;
    }
    return nullptr;
  }

  Status add_small(const DcpLeaf& leaf, DcpItem& item) {
    item.key = leaf.key;
    const ExportedTensor* tensor = tensor_of(leaf);
    if (tensor != nullptr && tensor->bytes != 0) return {};
    CAIRN_TRY(const Bytes bytes, file_of(*leaf.node));
    CAIRN_TRY(DcpPlace where, place(bytes.size()));
    CAIRN_CHECK(write(files_.size() - 1, where.offset, bytes));
    if (tensor == nullptr) {
      item.value = std::move(where);
    } else {
      describe(*tensor, item);
      item.pieces.push_back({whole_box(tensor->shape), std::move(where)});
    }
    return {};
  }

  /// A value, also a tuple with the tensors in it, or a tensor without a byte: made in memory.
  Result<Bytes> file_of(const StateNode& node) {
    if (node.kind == StateNode::Kind::kBytes) {
      return load_attachment(checkpoint_, std::string(kBytesPrefix) + node.name);
    }
    PickleGraph graph;
    CAIRN_TRY(const PickleId root, pickle_of_state(graph, node, [&](const StateNode& leaf) {
                return object_of(leaf, graph);
              }));
    return file_with_tensors(std::move(graph), root, node);
  }

  Result<Bytes> file_with_tensors(PickleGraph graph, PickleId root, const StateNode& node) {
    std::map<std::string, ArchiveTensor> forms;
    each_leaf(node, [&](const StateNode& leaf) {
      const auto found = by_name_.find(leaf.kind == StateNode::Kind::kTied ? leaf.tied : leaf.name);
      if (leaf.kind == StateNode::Kind::kValue || found == by_name_.end()) return;
      forms.emplace(found->first, ArchiveTensor{found->second->dtype, found->second->shape});
    });
    CAIRN_TRY(const TorchArchive archive, TorchArchive::plan(std::move(graph), root, forms));
    Bytes file(archive.total_bytes());
    TorchArchive::Writer writer(archive, [&](uint64_t at, ByteSpan bytes) -> Status {
      std::copy(bytes.begin(), bytes.end(), file.begin() + static_cast<ptrdiff_t>(at));
      return {};
    });
    std::vector<PlacedTensor> placed;
    for (size_t i = 0; i < archive.tensors().size(); ++i) {
      const ExportedTensor& tensor = *by_name_.at(archive.tensors()[i]);
      count(tensor);
      if (tensor.bytes != 0) placed.push_back({&tensor, archive.data_at(i)});
    }
    CAIRN_CHECK(writer.begin());
    CAIRN_CHECK(stream_tensors(checkpoint_, request_.call, placed,
                               [&](uint64_t at, ByteSpan bytes) { return writer.add(at, bytes); }));
    CAIRN_CHECK(writer.end());
    return file;
  }

  /// One object of all that the state has.
  Result<PickleId> object_of(const StateNode& leaf, PickleGraph& graph) const {
    CAIRN_TRY(const PickleId id, among(objects_)(leaf));
    CAIRN_TRY(const Bytes pickle, write_pickle(object_graph_, id));
    CAIRN_TRY(const PickleRead read, read_pickle(pickle, graph));
    return read.root;
  }

  void describe(const ExportedTensor& tensor, DcpItem& item) {
    item.is_tensor = true;
    item.dtype = tensor.dtype;
    item.shape = tensor.shape;
    count(tensor);
  }

  void count(const ExportedTensor& tensor) {
    if (written_.insert(&tensor).second) {
      result_.bytes += tensor.bytes;
      ++result_.tensors;
    } else if (request_.call.progress != nullptr) {
      request_.call.progress->total_bytes += tensor.bytes;  // tied: once for each key
    }
  }

  Status add_large(const DcpLeaf& leaf, DcpItem& item) {
    const ExportedTensor* tensor = tensor_of(leaf);
    if (tensor == nullptr || tensor->bytes == 0) return {};
    describe(*tensor, item);
    CAIRN_TRY(const auto boxes,
              cut_slabs(tensor->dtype, tensor->shape, checkpoint_.schema().chunk_elements,
                        std::min(kPieceBytesMax, request_.shard_bytes_max)));
    placed_.push_back({tensor, bytes_});
    for (const Box& box : boxes) CAIRN_CHECK(add_piece(tensor->stored, box, item));
    return {};
  }

  Status add_piece(const std::string& name, const Box& box, DcpItem& item) {
    PickleGraph graph;
    const PickleId root = tensor_name_node(graph, name, false);
    CAIRN_TRY(TorchArchive archive,
              TorchArchive::plan(std::move(graph), root, {{name, {item.dtype, box.lengths}}}));
    CAIRN_TRY(const DcpPlace where, place(archive.total_bytes()));
    CAIRN_TRY(const uint64_t bytes, checked_bytes(item.dtype, box.lengths));
    item.pieces.push_back({box, where});
    pieces_.push_back({bytes_, bytes, 0, files_.size() - 1, where.offset, std::move(archive), {}});
    bytes_ += bytes;
    return {};
  }

  // --- Bytes of tensors

  Status take(uint64_t at, ByteSpan bytes) {
    while (!bytes.empty()) {
      auto piece =
          std::upper_bound(pieces_.begin(), pieces_.end(), at,
                           [](uint64_t value, const Piece& each) { return value < each.begin; });
      --piece;
      const size_t count = std::min<uint64_t>(bytes.size(), piece->begin + piece->bytes - at);
      CAIRN_CHECK(take(*piece, at - piece->begin, bytes.subspan(0, count)));
      at += count;
      bytes = bytes.subspan(count);
    }
    return {};
  }

  Status take(Piece& piece, uint64_t at, ByteSpan bytes) {
    if (!piece.writer) {
      CAIRN_CHECK(finish_files_before(piece.file));
      piece.writer.emplace(piece.archive, [this, &piece](uint64_t where, ByteSpan part) {
        return write(piece.file, piece.at + where, part);
      });
      CAIRN_CHECK(piece.writer->begin());
    }
    CAIRN_CHECK(piece.writer->add(piece.archive.data_at(0) + at, bytes));
    piece.done += bytes.size();
    if (piece.done < piece.bytes) return {};
    const Status ended = piece.writer->end();
    piece.writer.reset();
    return ended;
  }

  /// What is appended to is one file at a time: those before need their buffers no longer.
  Status finish_files_before(size_t file) {
    if (order_ != NewFile::Order::kAppend) return {};
    for (; finished_ < file; ++finished_) CAIRN_CHECK(files_[finished_].seal());
    return {};
  }

  // --- Metadata

  Result<NewFile> write_metadata() {
    CAIRN_CHECK(add_extras());
    CAIRN_TRY(const Bytes bytes, encode_dcp_metadata(metadata_));
    CAIRN_TRY(NewFile file, folder_.create(std::string(kDcpMetadataName)));
    CAIRN_CHECK(file.append(bytes));
    CAIRN_CHECK(file.seal());
    return file;
  }

  /// What the planner said beyond the structure, and had kept in the tag.
  Status add_extras() {
    if (!state_.is_whole) return {};
    CAIRN_TRY(const Bytes text, load_attachment(checkpoint_, kDcpName));
    if (text.empty()) return {};
    const auto told = nlohmann::json::parse(text.begin(), text.end(), nullptr, false);
    if (!told.is_object()) return fail(Code::kCorrupt, "what DCP's planner kept is not understood");
    if (told.contains("planner_data")) metadata_.planner_data = told["planner_data"];
    const nlohmann::json properties = told.value("properties", nlohmann::json::object());
    for (DcpItem& item : metadata_.items) {
      const auto found = properties.find(item.key);
      if (found == properties.end() || !found->is_object()) continue;
      item.requires_grad = found->value("requires_grad", false);
      const std::string format = found->value("memory_format", "");
      item.memory_format = format == "channels_last" ? 1 : format == "preserve_format" ? 2 : 0;
    }
    return {};
  }

  Checkpoint& checkpoint_;
  const ExportRequest& request_;
  ExportResult& result_;
  ExportFolder folder_;
  NewFile::Order order_ = NewFile::Order::kAppend;
  SavedState state_;
  std::map<std::string, const ExportedTensor*> by_name_;
  PickleGraph object_graph_;
  std::map<std::string, PickleId> objects_;
  DcpMetadata metadata_;
  std::deque<NewFile> files_;
  size_t finished_ = 0;  // of them
  uint64_t end_ = 0;     // of the file that is being filled
  std::set<const ExportedTensor*> written_;
  std::deque<Piece> pieces_;
  std::vector<PlacedTensor> placed_;
  uint64_t bytes_ = 0;  // of all pieces
};

}  // namespace

Status export_dcp(Checkpoint& checkpoint, const ExportRequest& request,
                  const std::vector<ExportedTensor>& tensors, ExportResult& result) {
  return DcpExporter(checkpoint, request, tensors, result).run(tensors);
}

}  // namespace cairn
