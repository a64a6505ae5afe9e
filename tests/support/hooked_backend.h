// A place whose puts a test can make fail, before or after they took effect.
#pragma once

#include <functional>

#include "store/remote/backend.h"

namespace cairn::remote {

class HookedBackend final : public Backend {
 public:
  using Put = std::function<WriteResult()>;
  /// Called for each put of a whole object; `put` does it.
  using Hook = std::function<WriteResult(const std::string& key, const Put& put)>;

  HookedBackend(std::unique_ptr<Backend> below, Hook hook)
      : below_(std::move(below)), hook_(std::move(hook)) {}

  std::unique_ptr<Backend> with_stop(const std::atomic<bool>* stop) const override {
    return std::make_unique<HookedBackend>(below_->with_stop(stop), hook_);
  }
  const std::string& name() const override { return below_->name(); }
  BackendAbilities abilities() const override { return below_->abilities(); }
  Result<ObjectInfo> info(const std::string& key) override { return below_->info(key); }
  Result<ReadAnswer> read(const std::string& key, uint64_t offset, MutableBytes out) override {
    return below_->read(key, offset, out);
  }
  Result<WholeObject> read_whole(const std::string& key, uint64_t bytes_most) override {
    return below_->read_whole(key, bytes_most);
  }
  WriteResult put(const std::string& key, const Payload& payload,
                  const Condition& condition) override {
    return hook_(key, [&] { return below_->put(key, payload, condition); });
  }
  Status remove(const std::string& key) override { return below_->remove(key); }
  Result<Page<ListedObject>> list(const std::string& prefix, const std::string& from) override {
    return below_->list(prefix, from);
  }
  Result<std::string> begin_upload(const std::string& key, uint64_t part_bytes) override {
    return below_->begin_upload(key, part_bytes);
  }
  Result<UploadedPart> upload_part(const std::string& key, const std::string& upload,
                                   uint32_t number, const Payload& payload) override {
    return below_->upload_part(key, upload, number, payload);
  }
  Result<std::vector<UploadedPart>> list_parts(const std::string& key,
                                               const std::string& upload) override {
    return below_->list_parts(key, upload);
  }
  WriteResult complete_upload(const std::string& key, const std::string& upload,
                              const std::vector<UploadedPart>& parts,
                              const Condition& condition) override {
    return below_->complete_upload(key, upload, parts, condition);
  }
  Status abort_upload(const std::string& key, const std::string& upload) override {
    return below_->abort_upload(key, upload);
  }
  Result<Page<OpenUpload>> list_uploads(const std::string& prefix,
                                        const std::string& from) override {
    return below_->list_uploads(prefix, from);
  }

 private:
  const std::unique_ptr<Backend> below_;
  const Hook hook_;
};

/// The error of a write whose answer was lost.
inline WriteResult answer_lost() {
  WriteError lost;
  lost.code = Code::kUnreachable;
  lost.message = "the answer was lost";
  lost.ambiguous = true;
  return tl::unexpected(lost);
}

}  // namespace cairn::remote
