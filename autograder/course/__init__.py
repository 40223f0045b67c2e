"""The course folder, its deadline and late policy, the release secret and the student bundle."""
