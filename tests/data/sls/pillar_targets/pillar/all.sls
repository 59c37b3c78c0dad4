all: true
