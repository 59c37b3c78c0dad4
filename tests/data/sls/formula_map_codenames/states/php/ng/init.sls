include: [.cli, .fpm]
