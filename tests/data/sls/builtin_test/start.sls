nop: test.nop
ok: test.succeed_without_changes
changed: test.succeed_with_changes
bad: test.fail_without_changes
bad_changed: test.fail_with_changes
configured:
  test.configurable_test_state:
    - changes: true
    - result: true
    - comment: as configured
watching: {test.succeed_without_changes: [{watch: [{test: changed}]}]}
show: {test.show_notification: [{text: hello}]}
checked: {test.check_pillar: [{present: [nothing]}]}
