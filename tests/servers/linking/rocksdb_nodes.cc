/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * rocksdb_nodes.cc - an example: a RocksDB whose block cache lies on chosen nodes, one
 * block here and the next there, while all else is where the thread that asks runs.
 *
 *     rocksdb_nodes FOLDER NODE...
 *
 * NodeAllocator is what to copy.  The rest fills a database, reads it until its cache is
 * full, and looks where the blocks are.  tests/servers/linking.sh builds and runs it.
 */
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <nearheap.h>
#include <new>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/memory_allocator.h>
#include <rocksdb/table.h>
#include <string>
#include <utility>
#include <vector>

/* The memory of a cache, spread over nodes. */
class NodeAllocator : public rocksdb::MemoryAllocator
{
  public:
    explicit NodeAllocator(std::vector<int> nodes) : nodes_(std::move(nodes))
    {
    }

    const char *Name() const override
    {
        return "NodeAllocator";
    }

    void *Allocate(size_t size) override
    {
        size_t turn = turn_.fetch_add(1, std::memory_order_relaxed);
        void *block = nh_malloc_on_node(size, nodes_[turn % nodes_.size()]);
        if (block == nullptr)
            throw std::bad_alloc(); /* out of memory, or no such node */
        held_[turn % nodes_.size()].fetch_add(1, std::memory_order_relaxed);
        return block;
    }

    void Deallocate(void *block) override
    {
        int node = nh_node_of(block);
        for (size_t i = 0; i < nodes_.size(); i++)
            if (nodes_[i] == node)
                held_[i].fetch_sub(1, std::memory_order_relaxed);
        nh_free(block);
    }

    /* What the cache counts against its capacity: all that a block takes. */
    size_t UsableSize(void *block, size_t) const override
    {
        return nh_malloc_usable_size(block);
    }

    /* Blocks now on the place-th of the nodes: what was put there and what nh_node_of
     * found there when it went. */
    long held(size_t place) const
    {
        return held_[place].load(std::memory_order_relaxed);
    }

  private:
    const std::vector<int> nodes_;
    std::atomic<size_t> turn_{0};
    std::vector<std::atomic<long>> held_ = std::vector<std::atomic<long>>(nodes_.size());
};

namespace
{

constexpr int records = 20000;
constexpr size_t value_size = 500;
constexpr size_t cache_size = size_t{4} << 20; /* less than there is */

void must(const rocksdb::Status &status)
{
    if (!status.ok()) {
        std::fprintf(stderr, "rocksdb_nodes: %s\n", status.ToString().c_str());
        std::exit(1);
    }
}

std::string value_of(int number)
{
    return std::to_string(number) + std::string(value_size, static_cast<char>('a' + number % 26));
}

void fill_and_read(rocksdb::DB &database)
{
    for (int i = 0; i < records; i++)
        must(database.Put({}, "record:" + std::to_string(i), value_of(i)));
    must(database.Flush({}));
    for (int i = 0; i < records; i++) {
        std::string value;
        must(database.Get({}, "record:" + std::to_string(i), &value));
        if (value != value_of(i))
            must(rocksdb::Status::Corruption("a value is not what was put"));
    }
}

/* Whether each node has its share of blocks, and with `cached` false: none. */
bool spread(const NodeAllocator &allocator, size_t nodes, bool cached)
{
    long all = 0;
    for (size_t i = 0; i < nodes; i++)
        all += allocator.held(i);
    for (size_t i = 0; i < nodes; i++) {
        long share = all / static_cast<long>(nodes);
        std::printf("place %zu: %ld blocks\n", i, allocator.held(i));
        if (cached ? allocator.held(i) < share / 2 || share == 0 : allocator.held(i) != 0)
            return false;
    }
    return true;
}

} // namespace

int main(int argc, char **argv)
{
    if (argc < 3) {
        std::fputs("usage: rocksdb_nodes FOLDER NODE...\n", stderr);
        return 2;
    }
    std::vector<int> nodes;
    for (int i = 2; i < argc; i++)
        nodes.push_back(std::atoi(argv[i]));
    auto allocator = std::make_shared<NodeAllocator>(nodes);

    rocksdb::LRUCacheOptions cache;
    cache.capacity = cache_size;
    cache.memory_allocator = allocator;
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rocksdb::NewLRUCache(cache);
    rocksdb::Options options;
    options.create_if_missing = true;
    options.compression = rocksdb::kNoCompression;
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));

    rocksdb::DB *opened = nullptr;
    must(rocksdb::DB::Open(options, argv[1], &opened));
    std::unique_ptr<rocksdb::DB> database(opened);
    fill_and_read(*database);
    bool full = spread(*allocator, nodes.size(), true);
    must(database->Close());
    database.reset();
    table.block_cache.reset();
    options = rocksdb::Options();
    cache = rocksdb::LRUCacheOptions();
    bool empty = spread(*allocator, nodes.size(), false);
    std::puts(full && empty ? "spread" : "not spread");
    return full && empty ? 0 : 1;
}
