/* floor 6.2 - test_threads: shares cover everything once, barriers keep the team in step. */
#include "threads.h"
#include "testing.h"

#include <stdatomic.h>
#include <stdbool.h>

enum { MAX_MEMBERS = 8, ROUNDS = 10000 };

static void shares_cover_everything_once(void **state) {
    (void)state;
    const size_t grains[] = {1, 2, 3, 16, 64, 1000};
    for (int count = 1; count <= MAX_MEMBERS; count++)
        for (size_t g = 0; g < sizeof grains / sizeof grains[0]; g++)
            for (size_t n = 0; n < 200; n++) {
                size_t expected = 0, grain = grains[g], least = SIZE_MAX, most = 0;
                for (int index = 0; index < count; index++) {
                    size_t begin, end;
                    pf_share((pf_member){NULL, index, count}, n, grain, &begin, &end);
                    assert_int_equal(begin, expected); /* contiguous, in order */
                    assert_true(begin <= end && end <= n);
                    assert_true(begin % grain == 0 || begin == n);
                    size_t grains_here = (end - begin + grain - 1) / grain;
                    least = grains_here < least ? grains_here : least;
                    most = grains_here > most ? grains_here : most;
                    expected = end;
                }
                assert_int_equal(expected, n);
                assert_true(most - least <= 1);
            }
}

typedef struct roll_call {
    atomic_int seen[MAX_MEMBERS];
    atomic_int count;
} roll_call;

static void sign_in(void *context, pf_member member) {
    roll_call *call = context;
    atomic_fetch_add(&call->seen[member.index], 1);
    atomic_store(&call->count, member.count);
}

static void every_member_works_once(void **state) {
    (void)state;
    for (int asked = -1; asked <= MAX_MEMBERS; asked++) {
        roll_call call = {0};
        pf_parallel(asked, sign_in, &call);
        int count = atomic_load(&call.count);
        assert_int_equal(count, asked < 1 ? 1 : asked);
        for (int i = 0; i < MAX_MEMBERS; i++) assert_int_equal(call.seen[i], i < count);
    }
}

/* Plain numbers that only the barriers order. In each round every member writes its own and must
 * then read this round's number of every other member, never that of the round before or after. */
typedef struct clockwork {
    struct {
        int round;
        char pad[60];
    } of[MAX_MEMBERS];
    atomic_int mistakes;
} clockwork;

static void step_and_look(void *context, pf_member member) {
    clockwork *clock = context;
    for (int round = 1; round <= ROUNDS; round++) {
        clock->of[member.index].round = round;
        pf_barrier(member);
        for (int i = 0; i < member.count; i++)
            if (clock->of[i].round != round) atomic_fetch_add(&clock->mistakes, 1);
        pf_barrier(member); /* no member writes the next round before all have read this one */
    }
}

/* More members than cores must work too: a member that waits gives up its core. */
static void barriers_order_ten_thousand_rounds(void **state) {
    (void)state;
    for (int members = 1; members <= MAX_MEMBERS; members++) {
        clockwork clock = {0};
        pf_parallel(members, step_and_look, &clock);
        assert_int_equal(atomic_load(&clock.mistakes), 0);
        for (int i = 0; i < members; i++) assert_int_equal(clock.of[i].round, ROUNDS);
    }
}

static void a_team_that_stays_does_every_job(void **state) {
    (void)state;
    for (int asked = -1; asked <= MAX_MEMBERS; asked++) {
        pf_team *team = pf_team_new(asked, NULL);
        roll_call call = {0};
        assert_non_null(team);
        for (int job = 1; job <= 300; job++) {
            pf_team_run(team, sign_in, &call);
            int count = atomic_load(&call.count);
            assert_int_equal(count, asked < 1 ? 1 : asked);
            for (int i = 0; i < MAX_MEMBERS; i++)
                assert_int_equal(call.seen[i], i < count ? job : 0);
        }
        clockwork clock = {0};
        pf_team_run(team, step_and_look, &clock);
        assert_int_equal(atomic_load(&clock.mistakes), 0);
        pf_team_free(team);
    }
    pf_team_free(NULL);
}

static void default_is_at_least_one(void **state) {
    (void)state;
    assert_in_range(pf_threads_default(), 1, 4096);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_cover_everything_once),
        cmocka_unit_test(every_member_works_once),
        cmocka_unit_test(barriers_order_ten_thousand_rounds),
        cmocka_unit_test(a_team_that_stays_does_every_job),
        cmocka_unit_test(default_is_at_least_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
