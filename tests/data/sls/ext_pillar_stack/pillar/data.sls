site: ams
