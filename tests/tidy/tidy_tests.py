"""Every source file has its test: tests/<folder>/<stem>_test.cc, or a line in TESTED_BY."""

import re

from tidy_tree import CPP_SUFFIXES, Finding, layer_of

TESTED_FOLDERS = {"base", "store", "store/gc", "store/index", "store/remote", "lib", "cli", "gpu"}

# Files whose behaviour another file's test shows, with that test. A line goes when the file gets
# a test of its own; the test must be there.
TESTED_BY = {
    # Servers and buckets are reached as a user reaches them.
    "store/remote/answer_errors.cc": "tests/store/remote/backend_faults_test.py",
    "store/remote/credential_services.cc": "tests/store/remote/credentials_test.cc",
    "store/remote/curl_library.cc": "tests/store/remote/backend_faults_test.py",
    "store/remote/directory_backend.cc": "tests/store/remote/backend_contract_test.cc",
    "store/remote/directory_uploads.cc": "tests/store/remote/backend_contract_test.cc",
    "store/remote/environment.cc": "tests/store/remote/profile_test.cc",
    "store/remote/http_backend.cc": "tests/store/remote/backend_servers_test.py",
    "store/remote/http_client.cc": "tests/store/remote/backend_faults_test.py",
    "store/remote/http_driver.cc": "tests/store/remote/backend_faults_test.py",
    "store/remote/http_transfer.cc": "tests/store/remote/backend_faults_test.py",
    "store/remote/open_backend.cc": "tests/store/remote/backend_contract_test.cc",
    "store/remote/range_read.cc": "tests/store/remote/backend_faults_test.py",
    "store/remote/request_sender.cc": "tests/store/remote/backend_faults_test.py",
    "store/remote/s3_backend.cc": "tests/store/remote/backend_servers_test.py",
    "store/remote/s3_client.cc": "tests/store/remote/backend_servers_test.py",
    "store/remote/s3_errors.cc": "tests/store/remote/backend_faults_test.py",
    "store/remote/s3_uploads.cc": "tests/store/remote/backend_servers_test.py",
    "store/remote/upload_file.cc": "tests/store/remote/remote_fs_test.cc",
    # What moves is seen in the tag that has come.
    "store/adopt_pack.cc": "tests/store/arrivals_test.cc",
    "lib/transfer/resume.cc": "tests/lib/transfer/transfer_test.cc",
    "lib/transfer/cargo.cc": "tests/lib/transfer/transfer_part_test.cc",
    "lib/transfer/moved_tag.cc": "tests/lib/transfer/transfer_test.cc",
    "lib/transfer/standing_copies.cc": "tests/lib/transfer/transfer_test.cc",
    "lib/transfer/standing_tag.cc": "tests/lib/transfer/transfer_test.cc",
    # What kernels do is shown through the calls that enqueue them.
    "gpu/chunker.cu": "tests/gpu/chunker_plan_test.cc",
    "gpu/cuda/device.cc": "tests/gpu/device_test.cc",
    "gpu/cuda/device_scope.cc": "tests/gpu/device_test.cc",
    "gpu/cuda/pinned_memory.cc": "tests/gpu/stream_test.cc",
    "gpu/cuda/stream.cc": "tests/gpu/stream_test.cc",
    "gpu/cuda/event_timer.cc": "tests/gpu/timer_test.cc",
    "gpu/digest.cu": "tests/gpu/digest_plan_test.cc",
    "gpu/enqueue.cc": "tests/gpu/digest_plan_test.cc",
    "gpu/gather.cu": "tests/gpu/dirty_test.cc",
    "gpu/scatter.cu": "tests/gpu/scatter_plan_test.cc",
    "gpu/tile.cc": "tests/gpu/digest_plan_test.cc",
    "gpu/group_calls.cc": "tests/gpu/memory_transport_test.cc",
    "gpu/transport.cc": "tests/gpu/memory_transport_test.cc",
    "gpu/writer_jobs.cc": "tests/gpu/exchange_plan_test.cc",
    "gpu/simt/fiber.cc": "tests/gpu/simt/run_grid_test.cc",
    "gpu/simt/host_device.cc": "tests/gpu/device_test.cc",
    "gpu/simt/host_memory.cc": "tests/gpu/simt/faults_test.cc",
    "gpu/simt/host_streams.cc": "tests/gpu/stream_test.cc",
    "gpu/simt/outside_work.cc": "tests/lib/device/join_ranks_test.cc",
    "gpu/simt/wall_timer.cc": "tests/gpu/timer_test.cc",
    # The way of chunks between devices and the host is shown by saves and loads.
    "lib/chain_delivery.cc": "tests/lib/device/derived_units_test.cc",
    "lib/device/carry.cc": "tests/lib/device/content_test.cc",
    "lib/device/coded_landing.cc": "tests/lib/device/resident_bases_test.cc",
    "lib/device/rebuild.cc": "tests/lib/device/resident_bases_test.cc",
    "lib/transfer_recipes.cc": "tests/lib/device/resident_bases_test.cc",
    "lib/device/device_staging.cc": "tests/lib/device/device_faults_test.cc",
    "lib/device/glance.cc": "tests/lib/device/device_save_test.cc",
    "lib/device/landing.cc": "tests/lib/device/device_save_test.cc",
    "lib/device/lane.cc": "tests/lib/device/device_faults_test.cc",
    "lib/device/lane_digests.cc": "tests/lib/device/device_save_test.cc",
    "lib/device/scatter_parts.cc": "tests/lib/device/device_load_test.cc",
    "lib/device/slab_storing.cc": "tests/lib/device/device_faults_test.cc",
    "lib/device/window_sender.cc": "tests/lib/device/device_save_test.cc",
    "lib/cluster_writer.cc": "tests/lib/save_load_test.cc",
    "lib/load_delivery.cc": "tests/lib/load_test.cc",
    "lib/staged_request.cc": "tests/lib/device/device_save_test.cc",
    "lib/device/no_devices.cc": "tests/lib/no_devices_test.cc",
    "lib/c_mirror.cc": "tests/lib/device/c_mirror_test.cc",
    "lib/mirror.cc": "tests/lib/device/mirror_test.cc",
    "lib/mirror_plan.cc": "tests/lib/device/mirror_test.cc",
    "lib/c_staging.cc": "tests/lib/device/c_staging_test.cc",
    # The same cuts, whatever the kernel.
    "base/chunker_avx2.cc": "tests/base/chunker_test.cc",
    "base/chunker_avx512.cc": "tests/base/chunker_test.cc",
    "base/chunker_portable.cc": "tests/base/chunker_test.cc",
    "gpu/find_gradients.cu": "tests/gpu/transform_replay_test.cc",
    "gpu/program_record.cc": "tests/gpu/transform_replay_test.cc",
    "gpu/replay.cu": "tests/gpu/transform_replay_test.cc",
    "gpu/transform.cu": "tests/gpu/transform_plan_test.cc",
    "gpu/transform_calls.cc": "tests/gpu/transform_plan_test.cc",
    # One digest, whatever the kernel: the test runs all that the machine has.
    "base/digest_avx2.cc": "tests/base/digest_test.cc",
    "base/digest_avx512.cc": "tests/base/digest_test.cc",
    "base/digest_portable.cc": "tests/base/digest_test.cc",
    "base/digest_tree.cc": "tests/base/digest_test.cc",
    # A block is one promise, whatever its form and whatever the kernel.
    "base/encodings/block_choice.cc": "tests/base/encodings/block_test.cc",
    "base/encodings/block_reader.cc": "tests/base/encodings/block_test.cc",
    "base/encodings/gaps.cc": "tests/base/encodings/block_test.cc",
    "base/encodings/item_kernel_avx2.cc": "tests/base/encodings/item_kernel_test.cc",
    "base/encodings/item_kernel_portable.cc": "tests/base/encodings/item_kernel_test.cc",
    "base/encodings/zstd_frame.cc": "tests/base/encodings/byte_run_test.cc",
    # A prediction is one promise: the bits of the document, whatever finds its numbers.
    "base/replay/fit_adam_parameter.cc": "tests/base/replay/fit_test.cc",
    "base/replay/fit_moments.cc": "tests/base/replay/fit_test.cc",
    "base/replay/fit_parameter.cc": "tests/base/replay/fit_test.cc",
    "base/replay/fitter.cc": "tests/base/replay/fit_test.cc",
    "base/replay/gradient.cc": "tests/base/replay/replay_test.cc",
    "base/replay/ops_avx2.cc": "tests/base/replay/ops_test.cc",
    "base/replay/ops_avx512.cc": "tests/base/replay/ops_test.cc",
    "base/replay/ops_portable.cc": "tests/base/replay/ops_test.cc",
    "base/replay/rules.cc": "tests/base/replay/predictor_test.cc",
    "base/replay/sample.cc": "tests/base/replay/fit_test.cc",
    # Save and load are one promise: what was saved is loaded.
    "lib/tensor_names.cc": "tests/lib/load_test.cc",
    "lib/page_marks.cc": "tests/lib/change_map_test.cc",
    "lib/report_facts.cc": "tests/lib/change_map_test.cc",
    "lib/load_plan.cc": "tests/lib/load_test.cc",
    "lib/c_group.cc": "tests/lib/c_abi_test.cc",
    "lib/host_buckets.cc": "tests/lib/load_together_test.cc",
    "lib/rank_transport.cc": "tests/lib/share_replicas_test.cc",
    "lib/unit_digests.cc": "tests/lib/share_replicas_test.cc",
    "lib/unit_list.cc": "tests/lib/share_replicas_test.cc",
    "lib/device/content_digests.cc": "tests/lib/device/device_shares_test.cc",
    "lib/wanted_chunks.cc": "tests/lib/load_together_test.cc",
    "lib/save_plan.cc": "tests/lib/save_test.cc",
    "lib/save_units.cc": "tests/lib/save_test.cc",
    "lib/save_session.cc": "tests/lib/save_test.cc",
    "lib/stored_chunks.cc": "tests/lib/save_load_test.cc",
    "lib/saved_pages.cc": "tests/lib/save_load_test.cc",
    "lib/tag_metadata.cc": "tests/lib/save_load_test.cc",
    "lib/chunk_saver.cc": "tests/lib/save_load_test.cc",
    "lib/dtype.cc": "tests/lib/tensor_test.cc",
    # A checkpoint is read through its pages, locators and packs as one.
    "store/checkpoint.cc": "tests/lib/load_test.cc",
    "store/file_pool.cc": "tests/lib/load_test.cc",
    "store/open_pack.cc": "tests/store/pack_writer_test.cc",
    "store/pack_tables.cc": "tests/lib/save_test.cc",
    "store/tag_part.cc": "tests/store/thin_test.cc",
    "store/pack_table.cc": "tests/crash/byte_sweep_test.cc",
    "lib/copy_check.cc": "tests/crash/byte_sweep_test.cc",
    "cli/cmd_pull.cc": "tests/cli/transfer_commands_test.py",
    "cli/cmd_push.cc": "tests/cli/transfer_commands_test.py",
    "cli/lazy_look_up.cc": "tests/cli/transfer_commands_test.py",
    "cli/transfer_run.cc": "tests/cli/transfer_commands_test.py",
    "cli/cmd_repair.cc": "tests/cli/repair_test.py",
    "lib/version.cc": "tests/install/install_test.py",
    "lib/tag_rules.cc": "tests/independent/read_store_test.py",
    "store/root.cc": "tests/store/commit_test.cc",
    "store/tag_change.cc": "tests/store/forget_test.cc",
    "store/probe.cc": "tests/store/store_test.cc",
    "store/index_helper.cc": "tests/crash/bad_luck_test.py",
    # A collection is one promise: what is needed stays, what is not goes.
    "store/file_list.cc": "tests/store/gc/collect_test.cc",
    "store/gc/rebase_plan.cc": "tests/store/gc/rebase_test.cc",
    "store/gc/file_marks.cc": "tests/store/gc/collect_test.cc",
    "store/gc/move.cc": "tests/store/gc/collect_test.cc",
    "store/gc/needed_objects.cc": "tests/store/gc/collect_test.cc",
    "store/gc/rebase_plan.cc": "tests/store/gc/rebase_test.cc",
    "store/gc/rebase_worth.cc": "tests/store/gc/rebase_test.cc",
    "store/gc/reclaim.cc": "tests/store/gc/collect_test.cc",
    "store/gc/tag_mover.cc": "tests/store/gc/collect_test.cc",
    "store/gc/tag_swap.cc": "tests/store/gc/collect_test.cc",
    "store/tag_tables.cc": "tests/store/tag_book_test.cc",
    # The store's index is opened, followed and asked as one.
    "store/index/chunk_records.cc": "tests/store/index/index_test.cc",
    "store/index/tables.cc": "tests/store/index/index_test.cc",
    # Formats: what reads and what writes are one promise; files of others are for PyTorch to judge.
    "lib/formats/dcp_metadata_reader.cc": "tests/lib/formats/dcp_metadata_test.cc",
    "lib/formats/dcp_metadata_writer.cc": "tests/lib/formats/dcp_metadata_test.cc",
    "lib/formats/export_dcp.cc": "tests/python/dcp_folders_test.py",
    "lib/formats/export_folder.cc": "tests/lib/formats/export_files_test.cc",
    "lib/formats/export_plan.cc": "tests/cli/export_test.py",
    "lib/formats/export_safetensors.cc": "tests/lib/formats/export_files_test.cc",
    "lib/formats/export_torch.cc": "tests/python/torch_files_test.py",
    "lib/formats/import_dcp.cc": "tests/python/dcp_folders_test.py",
    "lib/formats/import_files.cc": "tests/cli/commands_test.py",
    "lib/formats/import_hugging_face.cc": "tests/cli/commands_test.py",
    "lib/formats/import_memory.cc": "tests/cli/commands_test.py",
    "lib/formats/import_ranks.cc": "tests/python/torch_files_test.py",
    "lib/formats/import_sources.cc": "tests/python/torch_files_test.py",
    "lib/formats/import_torch.cc": "tests/python/torch_files_test.py",
    "lib/formats/pickle_names.cc": "tests/lib/formats/pickle_test.cc",
    "lib/formats/pickle_reader.cc": "tests/lib/formats/pickle_test.cc",
    "lib/formats/pickle_writer.cc": "tests/lib/formats/pickle_test.cc",
    "lib/formats/safetensors_header.cc": "tests/lib/formats/safetensors_test.cc",
    "lib/formats/saved_state.cc": "tests/python/torch_files_test.py",
    "lib/formats/state_pickle.cc": "tests/lib/formats/state_test.cc",
    "lib/formats/state_value.cc": "tests/lib/formats/state_test.cc",
    "lib/formats/torch_legacy.cc": "tests/lib/formats/torch_file_test.cc",
    "lib/formats/torch_tensor.cc": "tests/lib/formats/torch_file_test.cc",
    "lib/formats/zip_reader.cc": "tests/lib/formats/zip_layout_test.cc",
    # What a command prints is what it is for.
    "lib/describe.cc": "tests/cli/commands_test.py",
    "lib/diff.cc": "tests/cli/commands_test.py",
    "store/usage.cc": "tests/cli/commands_test.py",
    "cli/exclusive.cc": "tests/cli/commands_test.py",
    "lib/find_tag.cc": "tests/cli/commands_test.py",
    "lib/c_copy.cc": "tests/lib/c_abi_test.cc",
    "lib/c_digest.cc": "tests/lib/c_abi_test.cc",
    "lib/c_load.cc": "tests/lib/c_abi_test.cc",
    "lib/c_save.cc": "tests/lib/c_abi_test.cc",
    "lib/c_store.cc": "tests/lib/c_abi_test.cc",
    "lib/save_json.cc": "tests/cli/commands_test.py",
    "cli/flags.cc": "tests/cli/commands_test.py",
    "cli/tag_json.cc": "tests/cli/commands_test.py",
    "cli/complete.cc": "tests/cli/completion_test.py",
    "cli/cmd_completion.cc": "tests/cli/completion_test.py",
    "cli/store_usage.cc": "tests/cli/commands_test.py",
    "cli/usage_table.cc": "tests/cli/accounting_test.py",
    "cli/cmd_cat.cc": "tests/cli/commands_test.py",
    "cli/cmd_check.cc": "tests/cli/commands_test.py",
    "cli/cmd_diff.cc": "tests/cli/commands_test.py",
    "cli/cmd_export.cc": "tests/cli/commands_test.py",
    "cli/cmd_forget.cc": "tests/cli/retention_test.py",
    "cli/cmd_gc.cc": "tests/cli/gc_test.py",
    "cli/gc_run.cc": "tests/cli/gc_test.py",
    "cli/cmd_pin.cc": "tests/cli/retention_test.py",
    "cli/confirm.cc": "tests/cli/retention_test.py",
    "cli/cmd_import.cc": "tests/cli/commands_test.py",
    "cli/import_roles.cc": "tests/cli/commands_test.py",
    "cli/cmd_init.cc": "tests/cli/commands_test.py",
    "cli/cmd_ls.cc": "tests/cli/commands_test.py",
    "cli/cmd_show.cc": "tests/cli/commands_test.py",
    "cli/cmd_stats.cc": "tests/cli/commands_test.py",
    "cli/cmd_report.cc": "tests/cli/report_test.py",
    # A plot is a part of the page.
    "cli/report/age_plot.cc": "tests/cli/report/report_page_test.cc",
    "cli/report/encoding_plots.cc": "tests/cli/report/report_page_test.cc",
    "cli/report/heat_map.cc": "tests/cli/report/report_page_test.cc",
    "cli/report/size_plots.cc": "tests/cli/report/report_page_test.cc",
    "cli/report/panel.cc": "tests/cli/report/report_page_test.cc",
    "cli/report/reduction_table.cc": "tests/cli/report/report_page_test.cc",
    "cli/report/tag_table.cc": "tests/cli/report/report_page_test.cc",
    "cli/report/usage_plots.cc": "tests/cli/report/report_page_test.cc",
    "cli/cmd_tag.cc": "tests/cli/commands_test.py",
    "cli/cmd_index.cc": "tests/crash/bad_luck_test.py",
    # The frame of the program runs from outside.
    "cli/main.cc": "tests/cli/program_test.py",
    "cli/commands.cc": "tests/cli/program_test.py",
    "cli/cmd_help.cc": "tests/cli/program_test.py",
    "cli/cmd_version.cc": "tests/cli/program_test.py",
    "cli/help.cc": "tests/cli/program_test.py",
}


def check(tree, tested_by=None):
    tested_by = TESTED_BY if tested_by is None else tested_by
    paths = set(tree.paths)
    for path in tree.cpp():
        if layer_of(path) not in TESTED_FOLDERS or not re.search(r"\.(cc|cu)$", path):
            continue
        own = own_test(path)
        if own in paths and path in tested_by:
            yield Finding(path, 1, "tested", f"has '{own}'; drop its line from TESTED_BY")
        elif own not in paths and path not in tested_by:
            yield Finding(path, 1, "tested", f"no '{own}' and no line in TESTED_BY")
    for path, test in tested_by.items():
        if path not in paths:
            yield Finding(path, 1, "tested", "is in TESTED_BY and not in the tree")
        elif test not in paths:
            yield Finding(path, 1, "tested", f"its test '{test}' is not in the tree")


def own_test(path):
    stem = path
    for suffix in CPP_SUFFIXES:
        stem = stem.removesuffix(suffix)
    return f"tests/{stem}_test.cc"
