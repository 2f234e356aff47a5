/**
 * What every script of the queue begins with. KEYS[1] is the hash-tagged prefix of all keys, from which the rest are
 * derived: one slot in a Cluster. ARGV: epoch, project cap (0: none), group cap, then the script's own.
 *
 * Keys of the queue, below the prefix:
 *
 *   epoch                    which life of the data this is; gone or different: the data was lost
 *   b:<id>                   a build: spec, status, record, attempt, worker (session), attempts, end, and
 *                            at (where it is: held, delayed, waiting, ready, running, ended), place, n, class, number,
 *                            cancel, why (it was canceled), approved, line, commit, unreported (why), upload, sha
 *                            (that an attempt built), turns (workflow -> key of its group, name, limit, first)
 *   numbers                  project -> number of its newest build
 *   caps                     project -> builds that may be active; others have the cap of all
 *   lanes                    lane -> what it demands: labels, and a worker to keep away from
 *   vt:<lane>                projects with builds in the lane, by virtual start time
 *   wait:<lane>:<project>    builds that may be admitted, by priority, then id
 *   gw:<lane>:<group>        builds of a group; only its first, and only below the cap, is in wait: as well
 *   gs:<lane>:<project>      groups with builds in gw:
 *   gfirst                   <lane>:<group> -> the build of gw: that is in wait:
 *   vtime, served            virtual time, and the projects whose last admission is ahead of it
 *   held                     builds that wait for approval
 *   line:<line>              builds not ended of which a newer one cancels the older, by when what they are for happened
 *   delayed                  builds by the time before which they must not start
 *   classes                  class -> labels: workers with the same labels are a class, with one BullMQ queue
 *   slots:<class>            session -> slots, of its live workers
 *   ready:<class>            builds handed to BullMQ and not claimed yet
 *   run:<session>            builds that a worker runs
 *   pa:<project>, ga:<group> builds that count against a cap: ready or running
 *   tl:<group>               workflows of running builds, and of those that stand aside, that wait for their turn in a
 *                            group: <build>/<workflow>, all of score 0 and so in the order of builds. A group's key is
 *                            made of the project and the group's text
 *   th:<group>               workflows that have theirs
 *   called                   builds that stood aside and wait for a slot, by when (ms) they lose their places in tl:
 *   beats, workers           session -> heartbeats so far; session -> description
 *   unarchived               ended builds that are not in storage yet, by the time they ended
 *   uploads                  digests of uploads by their last use (ms); uses: digest -> builds not ended that need it
 *   removing                 what src/retention.ts is about to remove from storage
 *   reports                  commits whose forge is to be told something, by when (ms)
 *   report:<commit>          build that speaks for it, version (counts its changes), accepted, furthest,
 *                            failed, denied, unsure, lease
 *   i:…                      indexes of src/records
 */
export const prelude = `
local P = KEYS[1]
if redis.call('GET', P .. 'epoch') ~= ARGV[1] then return redis.error_reply('STATELOST') end
local project_cap, group_cap = tonumber(ARGV[2]), tonumber(ARGV[3])

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function build(id) return P .. 'b:' .. id end

local function tell(id, message) redis.call('PUBLISH', P .. 'c:' .. id, message) end

local function get(id, ...)
  return unpack(redis.call('HMGET', build(id), ...))
end
`;
